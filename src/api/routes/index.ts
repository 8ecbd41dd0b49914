/** All routes. Within a first path segment the order counts: the first that matches wins. */
import type { Handler } from '../call.ts'
import type { Route } from '../router.ts'
import { containerRoutes } from './containers.ts'
import { execRoutes } from './exec.ts'
import { imageRoutes } from './images.ts'
import { insightRoutes } from './insight.ts'
import { nameRoutes } from './names.ts'
import { networkRoutes } from './networks.ts'
import { portRoutes } from './ports.ts'
import { statsRoutes } from './stats.ts'
import { streamRoutes } from './streams.ts'
import { systemRoutes } from './system.ts'
import { absentRoutes } from './absent.ts'
import { pageRoutes } from './page.ts'
import { volumeRoutes } from './volumes.ts'

export const routes: readonly Route<Handler>[] = [
  ...systemRoutes,
  ...networkRoutes,
  ...statsRoutes,
  ...streamRoutes,
  ...containerRoutes,
  ...execRoutes,
  ...imageRoutes,
  ...volumeRoutes,
  ...nameRoutes,
  ...insightRoutes,
  ...portRoutes,
  ...pageRoutes,
  ...absentRoutes,
]
