/** Bodies of the endpoint that changes published ports: what HostConfig.PortBindings holds. */
import { portBindings } from './container.ts'
import { struct, text } from './go.ts'

/** `Port`: `8080` or `53/udp`. */
export const portMove = struct({ Port: text, From: text, To: text })

export const portsChange = struct({ PortBindings: portBindings })
