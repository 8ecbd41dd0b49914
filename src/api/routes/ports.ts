/** Publishing ports of a container that exists, and taking them back. */
import { fault } from '../../base/index.ts'
import { parseContainerPort } from '../../network/index.ts'
import { readJson } from '../body.ts'
import { empty, param, type Call, type Handler } from '../call.ts'
import { portBindingsOf } from '../container-request.ts'
import type { Route } from '../router.ts'
import { portMove, portsChange } from '../wire/ports.ts'
import { del, post } from './table.ts'

async function asked(call: Call) {
  const body = await readJson(call, portsChange, 'PortsChange')
  const bindings = portBindingsOf(body.PortBindings)
  if (Object.keys(bindings).length === 0) throw fault('invalidParameter', 'no port specified')
  for (const key of Object.keys(bindings)) parseContainerPort(key)
  return bindings
}

const publish: Handler = async call => {
  await call.engine.publishPorts(param(call, 'id'), await asked(call))
  return empty(204)
}

const unpublish: Handler = async call => {
  const meant = Object.entries(await asked(call)).flatMap(([key, bindings]) =>
    bindings.map(({ HostIp, HostPort }) => {
      if (!/^\d*$/.test(HostPort)) throw fault('invalidPort', HostPort)
      return { key, hostIp: HostIp, hostPort: Number(HostPort) }
    }),
  )
  await call.engine.unpublishPorts(param(call, 'id'), meant)
  return empty(204)
}

const move: Handler = async call => {
  const { Port = '', From = '', To = '' } = await readJson(call, portMove, 'PortMove')
  const { from, to, protocol } = parseContainerPort(Port)
  if (from !== to) throw fault('invalidPort', Port)
  await call.engine.movePort(from, protocol, From, To)
  return empty(204)
}

export const portRoutes: readonly Route<Handler>[] = [
  post('/linkspan/v1/containers/:id/ports', publish),
  del('/linkspan/v1/containers/:id/ports', unpublish),
  post('/linkspan/v1/ports/move', move),
]
