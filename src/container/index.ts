/** Running containers and keeping images. What other floors use comes through here. */

export { defaultConfig, defaultHostConfig } from './defaults.ts'
export { openImageStore } from './images.ts'
export { userMounts, type UserMount } from './mounts.ts'
export {
  familiarName,
  familiarReference,
  fullReference,
  normaliseReference,
  parseReference,
  withDefaultTag,
  type Reference,
} from './reference.ts'
export { startExitCode } from './messages.ts'
export { readUsage, type Usage } from './usage.ts'
export { openRuntime } from './runtime.ts'
export type * from './types.ts'
