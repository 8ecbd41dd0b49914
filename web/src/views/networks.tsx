/** Networks: a table, and forms that show the docker command they equal. */
import { signal, useSignal, useSignalEffect } from '@preact/signals'
import { read, write } from '../api.ts'
import { command, quote } from '../command.ts'
import { attempt, Check, CommandForm, Failure, Field } from '../form.tsx'
import { picture } from '../picture.ts'
import { say } from '../words.ts'

interface NetworkDetails {
  readonly Id: string
  readonly Name: string
  readonly Driver: string
  readonly Internal: boolean
  readonly IPAM: {
    readonly Config: readonly { readonly Subnet?: string; readonly Gateway?: string }[] | null
  }
  readonly Options: Readonly<Record<string, string>> | null
  readonly Containers: Readonly<
    Record<string, { readonly Name: string; readonly IPv4Address: string; readonly IPv6Address: string }>
  > | null
}

const predefined = new Set(['bridge', 'host', 'none'])
const networks = signal<readonly NetworkDetails[]>([])

async function load(): Promise<void> {
  const list = await read<readonly { readonly Id: string }[]>('/networks')
  networks.value = await Promise.all(list.map(async ({ Id }) => read<NetworkDetails>(`/networks/${Id}`)))
}

export function Networks() {
  command.value = 'docker network ls'
  // Every change of the picture may be one of a network.
  useSignalEffect(() => {
    if (picture.value !== undefined) void load().catch(() => undefined)
  })
  return (
    <div class="document">
      <h1>{say('networks')}</h1>
      <p class="lead">{say('networksLead')}</p>
      <div class="card scroll">
        <table>
          <thead>
            <tr>
              <th scope="col">{say('name')}</th>
              <th scope="col">{say('driver')}</th>
              <th scope="col">{say('subnet')}</th>
              <th scope="col">{say('used')}</th>
              <th scope="col">MTU</th>
              <th scope="col">{say('containers')}</th>
              <th scope="col">{say('options')}</th>
              <th scope="col">
                <span class="away">{say('remove')}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {networks.value.map(network => (
              <Row key={network.Id} network={network} />
            ))}
          </tbody>
        </table>
      </div>
      <CreateForm />
      <ConnectForm />
    </div>
  )
}

/** Addresses that a subnet of this prefix length has for hosts; IPv6 is as good as endless. */
function capacity(subnet: string): number | undefined {
  const [address = '', bits = ''] = subnet.split('/')
  return address.includes(':') ? undefined : Math.max(1, 2 ** (32 - Number(bits)) - 2)
}

function Row({ network }: { readonly network: NetworkDetails }) {
  const failure = useSignal('')
  const members = Object.values(network.Containers ?? {})
  const pools = network.IPAM.Config ?? []
  const drawn = picture.value?.Networks.find(one => one.Id === network.Id)?.Bridge
  const total = pools.reduce<number>((sum, pool) => sum + (capacity(pool.Subnet ?? '') ?? 0), 0)
  // The gateway has an address too.
  const used = members.length + (pools.length > 0 ? 1 : 0)
  const remove = async () => {
    await write('DELETE', `/networks/${network.Id}`)
    await load()
  }
  return (
    <tr>
      <th scope="row">
        {network.Name}
        {drawn === undefined || drawn === null ? null : <div class="mono soft">{drawn.Name}</div>}
      </th>
      <td>{network.Driver}</td>
      <td class="mono">
        {pools.map(pool => (
          <div key={pool.Subnet}>
            {pool.Subnet} {pool.Gateway === undefined ? null : <span class="soft">{pool.Gateway}</span>}
          </div>
        ))}
      </td>
      <td>
        {total === 0 ? null : (
          <div class="usage">
            <progress max={total} value={used} aria-label={`${say('used')}: ${network.Name}`} />
            <span class="soft">
              {used} {say('of')} {total}
            </span>
          </div>
        )}
      </td>
      <td class="number">{drawn?.Mtu}</td>
      <td>
        {members.map(member => (
          <div key={member.Name}>
            {member.Name}{' '}
            <span class="mono soft">{(member.IPv4Address || member.IPv6Address).replace(/\/.*/, '')}</span>
          </div>
        ))}
      </td>
      <td class="mono soft">
        {network.Internal ? <div>{say('internal')}</div> : null}
        {Object.entries(network.Options ?? {})
          .filter(([key]) => !key.startsWith('com.docker.network.bridge.default'))
          .map(([key, value]) => (
            <div key={key}>
              {key.replace('com.docker.network.', '')}={value}
            </div>
          ))}
      </td>
      <td>
        {predefined.has(network.Name) ? null : (
          <button
            type="button"
            onClick={() => void attempt(failure, remove)}
            aria-label={`${say('remove')} ${network.Name}`}
          >
            {say('remove')}
          </button>
        )}
        <Failure text={failure.value} />
      </td>
    </tr>
  )
}

function CreateForm() {
  const name = useSignal('')
  const subnet = useSignal('')
  const internal = useSignal(false)
  const ipv6 = useSignal(false)
  const failure = useSignal('')
  const line = [
    'docker network create',
    ...(subnet.value === '' ? [] : [`--subnet ${quote(subnet.value)}`]),
    ...(internal.value ? ['--internal'] : []),
    ...(ipv6.value ? ['--ipv6'] : []),
    name.value === '' ? 'NAME' : quote(name.value),
  ].join(' ')
  const create = async () => {
    await write('POST', '/networks/create', {
      Name: name.value,
      Internal: internal.value,
      EnableIPv6: ipv6.value,
      ...(subnet.value === '' ? {} : { IPAM: { Config: [{ Subnet: subnet.value }] } }),
    })
    name.value = ''
    await load()
  }
  return (
    <CommandForm
      id="create"
      title={say('createNetwork')}
      line={line}
      failure={failure.value}
      onSubmit={() => void attempt(failure, create)}
    >
      <Field label={say('name')} value={name} />
      <Field label={say('subnet')} value={subnet} optional placeholder="10.5.0.0/24" />
      <Check label={say('internalNetwork')} value={internal} />
      <Check label={say('ipv6')} value={ipv6} />
      <button type="submit" class="main">
        {say('create')}
      </button>
    </CommandForm>
  )
}

function ConnectForm() {
  const network = useSignal('')
  const container = useSignal('')
  const aliases = useSignal('')
  const address = useSignal('')
  const failure = useSignal('')
  const names = aliases.value.split(/[\s,]+/).filter(alias => alias !== '')
  const line = [
    'docker network connect',
    ...names.map(alias => `--alias ${quote(alias)}`),
    ...(address.value === '' ? [] : [`--ip ${quote(address.value)}`]),
    network.value === '' ? 'NETWORK' : quote(network.value),
    container.value === '' ? 'CONTAINER' : quote(container.value),
  ].join(' ')
  const act = async (verb: 'connect' | 'disconnect') => {
    const endpoint = {
      ...(names.length === 0 ? {} : { Aliases: names }),
      ...(address.value === '' ? {} : { IPAMConfig: { IPv4Address: address.value } }),
    }
    await write('POST', `/networks/${encodeURIComponent(network.value)}/${verb}`, {
      Container: container.value,
      ...(verb === 'connect' ? { EndpointConfig: endpoint } : {}),
    })
    await load()
  }
  const ready = network.value !== '' && container.value !== ''
  return (
    <CommandForm
      id="connect"
      title={say('connectContainer')}
      line={line}
      failure={failure.value}
      onSubmit={() => void attempt(failure, () => act('connect'))}
    >
      <label>
        {say('network')}
        <select value={network.value} onInput={event => (network.value = event.currentTarget.value)}>
          <option value="" />
          {networks.value
            .filter(one => one.Driver !== 'host' && one.Driver !== 'null')
            .map(one => (
              <option key={one.Id} value={one.Name}>
                {one.Name}
              </option>
            ))}
        </select>
      </label>
      <Field label={say('container')} value={container} />
      <Field label={say('aliases')} value={aliases} optional />
      <Field label={say('address')} value={address} optional />
      <button type="submit" class="main" disabled={!ready}>
        {say('connect')}
      </button>
      <button type="button" disabled={!ready} onClick={() => void attempt(failure, () => act('disconnect'))}>
        {say('disconnect')}
      </button>
    </CommandForm>
  )
}
