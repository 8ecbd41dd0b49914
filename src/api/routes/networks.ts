/** The network endpoints (create, list, inspect, remove, connect, disconnect, prune). */
import { fault } from '../../base/index.ts'
import type { Network, NetworkRequest } from '../../network/index.ts'
import type { StateView } from '../../engine/index.ts'
import { readJson } from '../body.ts'
import { empty, json, param, type Call, type Handler } from '../call.ts'
import { endpointRequest } from '../endpoint-request.ts'
import {
  exact,
  labelled,
  parseFilters,
  pattern,
  pruneFilter,
  singleBoolean,
  type Filters,
} from '../filters.ts'
import { flag } from '../query.ts'
import type { Route } from '../router.ts'
import { nanoseconds } from '../time.ts'
import { networkView, predefined, usageView } from '../view/network.ts'
import type { ApiVersion } from '../version.ts'
import { networkConnect, networkCreate, networkDisconnect, type NetworkCreate } from '../wire/network.ts'
import { del, get, post } from './table.ts'

const listKeys = ['driver', 'type', 'name', 'id', 'label', 'scope', 'dangling']

function checkTypes(filters: Filters): readonly string[] | undefined {
  const types = filters.get('type')
  const wrong = types?.find(type => type !== 'builtin' && type !== 'custom')
  if (wrong !== undefined) throw fault('invalidFilterValue', 'type', wrong)
  return types
}

/** The predicate that the filters of a network list stand for. */
export function networkSelector(filters: Filters, state: StateView): (network: Network) => boolean {
  const types = checkTypes(filters)
  const dangling = singleBoolean(filters, 'dangling')
  const byName = pattern(filters, 'name')
  const byId = pattern(filters, 'id')
  const isDangling = (network: Network) =>
    !predefined(network) && state.endpointsOfNetwork(network.id).length === 0
  return network =>
    byName(network.name) &&
    byId(network.id) &&
    exact(filters, 'driver', network.driver) &&
    exact(filters, 'scope', 'local') &&
    labelled(filters, network.labels) &&
    (types?.includes(predefined(network) ? 'builtin' : 'custom') ?? true) &&
    (dangling === undefined || dangling === isDangling(network))
}

function list({ engine, query, version }: Call) {
  const selects = networkSelector(parseFilters(query.get('filters'), listKeys), engine.state)
  const selected = [...engine.state.networks.values()].filter(network => selects(network))
  // Not Docker's: `linkspan network ls --usage` asks for it.
  const usage = flag(query, 'usage')
  return json(
    200,
    selected.map(network => ({
      ...networkView(engine.state, network, version < 28),
      ...(usage ? { Status: usageView(engine.state, network) } : {}),
    })),
  )
}

function inspect(call: Call) {
  const { engine, query } = call
  const verbose = query.get('verbose') ?? ''
  if (verbose !== '' && !/^(1|t|true|0|f|false)$/i.test(verbose)) {
    throw fault(
      'invalidParameter',
      `invalid value for verbose: ${verbose.slice(0, 100)}: strconv.ParseBool: parsing ${JSON.stringify(verbose.slice(0, 100))}: invalid syntax`,
    )
  }
  const id = param(call, 'id')
  const scope = query.get('scope') ?? ''
  if (scope !== '' && scope !== 'local') throw fault('networkNotFound', id)
  return json(200, networkView(engine.state, engine.state.findNetwork(id), true))
}

/** The body of create in the engine's spelling. Families are fields since 1.48; before, the field is not looked at. */
export function networkRequest(body: NetworkCreate, version: ApiVersion): NetworkRequest {
  const { IPAM } = body
  return {
    name: body.Name ?? '',
    driver: body.Driver,
    enableIPv4: version < 48 ? undefined : body.EnableIPv4,
    enableIPv6: body.EnableIPv6,
    internal: body.Internal,
    attachable: body.Attachable,
    ingress: body.Ingress,
    configOnly: body.ConfigOnly,
    configFrom: body.ConfigFrom?.Network,
    scope: body.Scope,
    ipam:
      IPAM === undefined
        ? undefined
        : {
            driver: IPAM.Driver,
            options: IPAM.Options,
            config: (IPAM.Config ?? []).map(pool => ({
              ...(hasText(pool.Subnet) ? { subnet: pool.Subnet } : {}),
              ...(hasText(pool.IPRange) ? { ipRange: pool.IPRange } : {}),
              ...(hasText(pool.Gateway) ? { gateway: pool.Gateway } : {}),
              ...(pool.AuxiliaryAddresses === undefined ? {} : { auxiliary: pool.AuxiliaryAddresses }),
            })),
          },
    options: body.Options,
    labels: body.Labels,
  }
}

const hasText = (value: string | undefined): value is string => value !== undefined && value !== ''

async function create(call: Call) {
  const body = await readJson(call, networkCreate, 'CreateRequest')
  const { id, warning } = await call.engine.createNetwork(networkRequest(body, call.version))
  return json(201, { Id: id, Warning: warning })
}

async function remove(call: Call) {
  await call.engine.removeNetwork(param(call, 'id'))
  return empty(204)
}

function needContainer(container: string | undefined): string {
  if (container === undefined || container === '') {
    throw fault('invalidParameter', 'invalid container name or ID: value is empty')
  }
  return container
}

async function connect(call: Call) {
  const body = await readJson(call, networkConnect, 'ConnectOptions')
  // A MAC address in connect is honoured from API 1.54 on only.
  const request = endpointRequest(body.EndpointConfig, call.version, { mac: false })
  await call.engine.connectNetwork(param(call, 'id'), needContainer(body.Container), request)
  return empty(200)
}

async function disconnect(call: Call) {
  const body = await readJson(call, networkDisconnect, 'DisconnectOptions')
  await call.engine.disconnectNetwork(param(call, 'id'), needContainer(body.Container), body.Force ?? false)
  return empty(200)
}

async function prune({ engine, query, signal }: Call) {
  const { before, selectsLabels } = pruneFilter(query.get('filters'))
  const names = await engine.pruneNetworks(
    network =>
      selectsLabels(network.labels) && (before === undefined || nanoseconds(network.created) < before),
    signal,
  )
  return json(200, { NetworksDeleted: names.length === 0 ? null : names })
}

export const networkRoutes: readonly Route<Handler>[] = [
  get('/networks', list),
  get('/networks/', list),
  post('/networks/create', create),
  post('/networks/prune', prune),
  post('/networks/*id/connect', connect),
  post('/networks/*id/disconnect', disconnect),
  get('/networks/*id', inspect),
  del('/networks/*id', remove),
]
