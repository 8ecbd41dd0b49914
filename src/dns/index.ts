export { openResolver, type ResolverOptions } from './client.ts'
export type {
  Resolver,
  ResolverSettings,
  SocketSource,
  ZoneChange,
  ZoneEndpoint,
  ZoneNetwork,
  ZoneSandbox,
} from './types.ts'
