/** Geometry of the picture: pure, shared by the page and the terminal. */
export { layout, metrics } from './layout.ts'
export { railOrder } from './order.ts'
export { hangUnder, type Hanging } from './fold.ts'
export type {
  Box,
  Cable,
  Rail,
  Scene,
  SceneContainer,
  SceneInput,
  SceneNetwork,
  SceneOptions,
} from './types.ts'
