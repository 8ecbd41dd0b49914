/**
 * Versions of the Engine API. Everything served is 1.x, so after negotiation a version is its minor number: `44` is API
 * 1.44. A path without prefix means the newest version.
 */
import { fault } from '../base/index.ts'

export type ApiVersion = number

export const newest: ApiVersion = 51
export const oldest: ApiVersion = 24

export const versionText = (version: ApiVersion): string => `1.${version}`

/** The release of Docker whose behaviour this API follows; clients compare it. */
export const dockerVersion = '28.5.2'

/** Takes the text behind `/v`; throws clientTooOld or clientTooNew. Parts beyond the second are ignored, as Docker does. */
export function negotiate(text: string): ApiVersion {
  const [major = 0, minor = 0] = text.split('.').map(part => (part === '' ? 0 : Number(part)))
  if (major > 1 || (major === 1 && minor > newest)) throw fault('clientTooNew', text, versionText(newest))
  if (major < 1 || minor < oldest) throw fault('clientTooOld', text, versionText(oldest))
  return minor
}
