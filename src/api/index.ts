/** The Docker Engine API on node:http. */
export {
  createApiServer,
  type ApiAddress,
  type ApiOptions,
  type ApiServer,
  type PageOptions,
} from './server.ts'
export type { ApiLog } from './call.ts'
export type { Insight } from './insight.ts'
