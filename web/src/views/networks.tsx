/** Networks: a table, and forms that show the docker command they equal. */
import { signal, useSignal, useSignalEffect } from '@preact/signals'
import { read, Refusal, write } from '../api.ts'
import { command, quote } from '../command.ts'
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
    try {
      await write('DELETE', `/networks/${network.Id}`)
      await load()
    } catch (error) {
      failure.value = error instanceof Refusal ? error.message : String(error)
    }
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
          <button type="button" onClick={() => void remove()} aria-label={`${say('remove')} ${network.Name}`}>
            {say('remove')}
          </button>
        )}
        {failure.value === '' ? null : (
          <p class="error" role="alert">
            {failure.value}
          </p>
        )}
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
  const submit = async (event: Event) => {
    event.preventDefault()
    failure.value = ''
    try {
      await write('POST', '/networks/create', {
        Name: name.value,
        Internal: internal.value,
        EnableIPv6: ipv6.value,
        ...(subnet.value === '' ? {} : { IPAM: { Config: [{ Subnet: subnet.value }] } }),
      })
      name.value = ''
      await load()
    } catch (error) {
      failure.value = error instanceof Refusal ? error.message : String(error)
    }
  }
  return (
    <>
      <h2 id="create">{say('createNetwork')}</h2>
      <form class="card form" aria-labelledby="create" onSubmit={event => void submit(event)}>
        <label>
          {say('name')}
          <input required value={name.value} onInput={event => (name.value = event.currentTarget.value)} />
        </label>
        <label>
          {say('subnet')} ({say('optional')})
          <input
            placeholder="10.5.0.0/24"
            value={subnet.value}
            onInput={event => (subnet.value = event.currentTarget.value)}
          />
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={internal.value}
            onInput={event => (internal.value = event.currentTarget.checked)}
          />
          {say('internalNetwork')}
        </label>
        <label class="check">
          <input
            type="checkbox"
            checked={ipv6.value}
            onInput={event => (ipv6.value = event.currentTarget.checked)}
          />
          {say('ipv6')}
        </label>
        <button type="submit" class="main">
          {say('create')}
        </button>
        <pre aria-label={say('sameCommand')}>$ {line}</pre>
        {failure.value === '' ? null : (
          <p class="error" role="alert">
            {failure.value}
          </p>
        )}
      </form>
    </>
  )
}

function ConnectForm() {
  const network = useSignal('')
  const container = useSignal('')
  const aliases = useSignal('')
  const address = useSignal('')
  const failure = useSignal('')
  const names = aliases.value.split(/[\s,]+/).filter(alias => alias !== '')
  const pair = `${network.value === '' ? 'NETWORK' : quote(network.value)} ${
    container.value === '' ? 'CONTAINER' : quote(container.value)
  }`
  const line = [
    'docker network connect',
    ...names.map(alias => `--alias ${quote(alias)}`),
    ...(address.value === '' ? [] : [`--ip ${quote(address.value)}`]),
    pair,
  ].join(' ')
  const act = async (verb: 'connect' | 'disconnect') => {
    failure.value = ''
    const endpoint = {
      ...(names.length === 0 ? {} : { Aliases: names }),
      ...(address.value === '' ? {} : { IPAMConfig: { IPv4Address: address.value } }),
    }
    try {
      await write('POST', `/networks/${encodeURIComponent(network.value)}/${verb}`, {
        Container: container.value,
        ...(verb === 'connect' ? { EndpointConfig: endpoint } : {}),
      })
      await load()
    } catch (error) {
      failure.value = error instanceof Refusal ? error.message : String(error)
    }
  }
  const ready = network.value !== '' && container.value !== ''
  return (
    <>
      <h2 id="connect">{say('connectContainer')}</h2>
      <form
        class="card form"
        aria-labelledby="connect"
        onSubmit={event => {
          event.preventDefault()
          void act('connect')
        }}
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
        <label>
          {say('container')}
          <input
            list="containers"
            value={container.value}
            onInput={event => (container.value = event.currentTarget.value)}
          />
        </label>
        <label>
          {say('aliases')} ({say('optional')})
          <input value={aliases.value} onInput={event => (aliases.value = event.currentTarget.value)} />
        </label>
        <label>
          {say('address')} ({say('optional')})
          <input value={address.value} onInput={event => (address.value = event.currentTarget.value)} />
        </label>
        <button type="submit" class="main" disabled={!ready}>
          {say('connect')}
        </button>
        <button type="button" disabled={!ready} onClick={() => void act('disconnect')}>
          {say('disconnect')}
        </button>
        <pre aria-label={say('sameCommand')}>$ {line}</pre>
        {failure.value === '' ? null : (
          <p class="error" role="alert">
            {failure.value}
          </p>
        )}
      </form>
    </>
  )
}
