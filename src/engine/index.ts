export { openEngine } from './engine.ts'
export { isUp, never } from './records.ts'
export type * from './records.ts'
export type * from './types.ts'
