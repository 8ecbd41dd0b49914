import { render } from 'preact'
import { Frame } from './frame.tsx'
import './style.css'

const root = document.getElementById('page')
if (root !== null) render(<Frame />, root)
