/** Moving about in the picture: drag, wheel, buttons; it fits the window until somebody moves it. */
import { useEffect, useState } from 'preact/hooks'
import type { RefObject } from 'preact'
import type { Scene } from '../../../src/scene/index.ts'

interface View {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface PanZoom {
  readonly viewBox: string
  readonly by: (factor: number) => void
  readonly fit: () => void
  readonly handlers: {
    readonly onPointerDown: (event: PointerEvent) => void
    readonly onWheel: (event: WheelEvent) => void
  }
}

/** Boxes should not be drawn larger than life on a large screen. */
const largest = 1.35

export function usePanZoom(frame: RefObject<HTMLDivElement | null>, scene: Scene): PanZoom {
  const [view, setView] = useState<View | undefined>(undefined)
  const [size, setSize] = useState({ width: 1000, height: 700 })
  useEffect(() => {
    const element = frame.current
    if (element === null) return undefined
    const observer = new ResizeObserver(() => {
      setSize({ width: element.clientWidth, height: element.clientHeight })
    })
    observer.observe(element)
    return () => observer.disconnect()
  }, [])
  const now = view ?? fitted(scene, size)
  const scaled = (factor: number, at: readonly [number, number]): View => ({
    x: at[0] - (at[0] - now.x) * factor,
    y: at[1] - (at[1] - now.y) * factor,
    width: now.width * factor,
    height: now.height * factor,
  })
  const middle = [now.x + now.width / 2, now.y + now.height / 2] as const
  const perPixel = Math.max(now.width / size.width, now.height / size.height)
  return {
    viewBox: `${now.x} ${now.y} ${now.width} ${now.height}`,
    by: factor => setView(scaled(factor, middle)),
    fit: () => setView(undefined),
    handlers: {
      onWheel: event => {
        event.preventDefault()
        const bounds = frame.current?.getBoundingClientRect()
        const x = now.x + (event.clientX - (bounds?.left ?? 0)) * perPixel
        const y = now.y + (event.clientY - (bounds?.top ?? 0)) * perPixel
        setView(scaled(event.deltaY > 0 ? 1.1 : 0.9, [x, y]))
      },
      onPointerDown: event => {
        const from = { x: event.clientX, y: event.clientY }
        const move = (to: PointerEvent) => {
          const [dx, dy] = [to.clientX - from.x, to.clientY - from.y]
          // A click that trembles is a click.
          if (Math.hypot(dx, dy) < 4) return
          setView({ ...now, x: now.x - dx * perPixel, y: now.y - dy * perPixel })
        }
        const up = () => {
          removeEventListener('pointermove', move)
          removeEventListener('pointerup', up)
        }
        addEventListener('pointermove', move)
        addEventListener('pointerup', up)
      },
    },
  }
}

function fitted(scene: Scene, size: { readonly width: number; readonly height: number }): View {
  const scale = Math.min(largest, size.width / scene.width, size.height / scene.height)
  const [width, height] = [size.width / scale, size.height / scale]
  return { x: -(width - scene.width) / 2, y: Math.min(0, -(height - scene.height) / 2), width, height }
}
