export { openResolver, type ResolverOptions } from './client.ts'
export type {
  Resolver,
  ResolverSettings,
  SocketSource,
  WatchedQuestion,
  ZoneChange,
  ZoneEndpoint,
  ZoneNetwork,
  ZoneSandbox,
} from './types.ts'
