/** Bodies of the endpoint that changes published ports: what HostConfig.PortBindings holds. */
import { portBindings } from './container.ts'
import { struct } from './go.ts'

export const portsChange = struct({ PortBindings: portBindings })
