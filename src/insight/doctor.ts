/** The host looked over: what containers' networks need of it, what stands in their way, and how to mend that. */
import { createSocket } from 'node:dgram'
import { existsSync } from 'node:fs'
import { release } from 'node:os'
import { fault } from '../base/index.ts'
import type { ObservedEngine } from '../engine/index.ts'
import { embeddedResolver, overlaps, parsePrefix } from '../network/index.ts'
import { readSwitch } from './host.ts'

export type CheckName =
  | 'kernel'
  | 'forwarding'
  | 'forward'
  | 'routes'
  | 'mtu'
  | 'links'
  | 'rules'
  | 'dns'
  | 'ports'

export interface Finding {
  readonly Check: CheckName
  readonly Status: 'ok' | 'warning' | 'error'
  readonly Text: string
  /** A command or a sentence; '' where nothing is to be done. */
  readonly Fix: string
  /** `--fix` mends it by itself; what changes others' tables is mended only when it is named. */
  readonly Mends: 'always' | 'named' | 'never'
}

export interface Diagnosis {
  readonly Findings: readonly Finding[]
  readonly Warnings: number
  readonly Errors: number
}

type Check = (engine: ObservedEngine) => Promise<readonly Finding[]>

const fine = (check: CheckName, text: string): Finding => ({
  Check: check,
  Status: 'ok',
  Text: text,
  Fix: '',
  Mends: 'never',
})

export async function diagnose(engine: ObservedEngine): Promise<Diagnosis> {
  const findings: Finding[] = []
  for (const check of checks) findings.push(...(await check(engine)))
  const count = (status: Finding['Status']) => findings.filter(({ Status }) => Status === status).length
  return { Findings: findings, Warnings: count('warning'), Errors: count('error') }
}

const kernelParts: Check = async engine => {
  const conntrack = existsSync('/proc/sys/net/netfilter/nf_conntrack_max')
  const filtered = existsSync('/proc/sys/net/bridge')
  const tables = await engine.kernel.ruleset().then(
    () => true,
    () => false,
  )
  const parts = [
    'bridge',
    'veth',
    ...(tables ? ['nf_tables'] : []),
    ...(conntrack ? ['conntrack'] : []),
    ...(filtered ? ['br_netfilter'] : []),
  ]
  const findings = [fine('kernel', `kernel ${release()}: ${parts.join(', ')}`)]
  if (!conntrack || !tables) {
    findings.push({
      Check: 'kernel',
      Status: 'error',
      Text: `the kernel lacks ${[...(tables ? [] : ['nf_tables']), ...(conntrack ? [] : ['nf_conntrack'])].join(' and ')}: no NAT`,
      Fix: 'modprobe nf_tables nf_conntrack',
      Mends: 'never',
    })
  }
  const quiet = [...engine.state.networks.values()].filter(({ bridge }) => bridge?.icc === false)
  if (!filtered && quiet.length > 0) {
    findings.push({
      Check: 'kernel',
      Status: 'warning',
      Text: `br_netfilter is missing: icc=false of ${quiet.map(({ name }) => name).join(', ')} keeps nobody apart`,
      Fix: 'modprobe br_netfilter',
      Mends: 'never',
    })
  }
  return findings
}

function forwardingSwitches(engine: ObservedEngine): readonly string[] {
  const networks = [...engine.state.networks.values()].filter(({ bridge }) => bridge !== undefined)
  return [
    ...(networks.length > 0 ? ['net/ipv4/ip_forward'] : []),
    ...(networks.some(({ enableIPv6 }) => enableIPv6) ? ['net/ipv6/conf/all/forwarding'] : []),
  ]
}

const forwarding: Check = async engine =>
  forwardingSwitches(engine).map(key => {
    const name = key.replaceAll('/', '.')
    if (readSwitch(key)) return fine('forwarding', `${name} = 1`)
    return {
      Check: 'forwarding',
      Status: 'error',
      Text: `${name} = 0: nothing gets from containers to other networks, and nothing to published ports`,
      Fix: 'linkspan doctor --fix forwarding',
      Mends: 'always',
    }
  })

const familyNames: Readonly<Record<number, string>> = { 1: 'inet', 2: 'ip', 10: 'ip6' }
const FORWARD_HOOK = 2

/** Chains of others at the forward hook whose policy drops what nobody accepted. */
async function strictChains(engine: ObservedEngine) {
  const chains = await engine.kernel.ruleset()
  return chains.filter(
    ({ base, table, family }) =>
      base?.hook === FORWARD_HOOK && base.policy === 'drop' && table !== 'linkspan' && family in familyNames,
  )
}

const foreignFirewalls: Check = async engine => {
  // The iptables backend accepts in that very chain before its policy counts.
  const own = engine.info().firewall.driver === 'iptables'
  const found = (await strictChains(engine)).filter(
    ({ table, name }) => !(own && table === 'filter' && name === 'FORWARD'),
  )
  if (found.length === 0) return [fine('forward', 'no foreign firewall drops forwarded packets by policy')]
  return found.map(({ family, table, name }) => {
    const place = `${familyNames[family] ?? ''} ${table}`
    const isIptables = table === 'filter' && name === 'FORWARD'
    return {
      Check: 'forward',
      Status: 'warning',
      Text: `the policy of ${place}, chain ${name}, is drop: what it does not accept itself does not get through`,
      Fix: isIptables
        ? 'linkspan doctor --fix forward'
        : `nft insert rule ${place} ${name} iifname "docker0" accept (and the like for each bridge)`,
      Mends: isIptables ? 'named' : 'never',
    }
  })
}

const overlappingRoutes: Check = async engine => {
  const routes = await engine.kernel.routes()
  const findings = [...engine.state.networks.values()].flatMap(({ name, bridge, pools }) =>
    pools.flatMap(({ subnet }) => {
      const own = parsePrefix(subnet)
      return routes.flatMap(({ destination, link }): readonly Finding[] => {
        const other = destination === 'default' ? undefined : parsePrefix(destination)
        if (own === undefined || other === undefined || own.family !== other.family) return []
        if (link === bridge?.name || !overlaps(own, other) || destination.startsWith('fe80:')) return []
        return [
          {
            Check: 'routes',
            Status: 'warning',
            Text: `${subnet} of network ${name} overlaps the route ${destination} on ${link ?? 'nothing'}`,
            Fix: 'docker network create --subnet …, or default-address-pools in daemon.json',
            Mends: 'never',
          },
        ]
      })
    }),
  )
  return findings.length === 0 ? [fine('routes', 'no route of the host overlaps a network')] : findings
}

const mtus: Check = async engine => {
  const routes = await engine.kernel.routes()
  const uplink = await engine.kernel.link(
    routes.find(({ destination }) => destination === 'default')?.link ?? 'lo',
  )
  if (uplink === undefined || uplink.name === 'lo') {
    return [
      { Check: 'mtu', Status: 'warning', Text: 'the host has no default route', Fix: '', Mends: 'never' },
    ]
  }
  const findings: Finding[] = []
  for (const { name, bridge, internal } of engine.state.networks.values()) {
    if (bridge === undefined || internal) continue
    const mtu = bridge.mtu ?? 1500
    if (mtu <= uplink.mtu) continue
    findings.push({
      Check: 'mtu',
      Status: 'warning',
      Text: `network ${name} has an MTU of ${mtu}, ${uplink.name} of ${uplink.mtu}: large packets may be lost on the way out`,
      Fix: `docker network create -o com.docker.network.driver.mtu=${uplink.mtu} …, or --mtu ${uplink.mtu} of the daemon`,
      Mends: 'never',
    })
  }
  return findings.length === 0
    ? [fine('mtu', `no network's MTU exceeds that of ${uplink.name} (${uplink.mtu})`)]
    : findings
}

const drifted: Check = async engine => {
  const { missing, changed, stale, rules } = await engine.drift()
  const list = (what: string, keys: readonly string[]) =>
    keys.length === 0
      ? []
      : [`${what}: ${keys.slice(0, 5).join(', ')}${keys.length > 5 ? ` and ${keys.length - 5} more` : ''}`]
  const texts = [...list('missing', missing), ...list('changed', changed), ...list('left over', stale)]
  const objects = engine
    .blueprint()
    .filter(({ kind }) => ['bridge', 'netns', 'veth', 'route'].includes(kind)).length
  return [
    texts.length === 0
      ? fine(
          'links',
          `the kernel has all ${objects} links, namespaces and routes as they should be, and none too many`,
        )
      : {
          Check: 'links',
          Status: 'error',
          Text: texts.join('; '),
          Fix: 'linkspan doctor --fix links',
          Mends: 'always',
        },
    rules === 0
      ? fine('rules', 'every firewall rule is as it should be')
      : {
          Check: 'rules',
          Status: 'error',
          Text: `${rules} firewall rules or elements are missing or too many`,
          Fix: 'linkspan doctor --fix rules',
          Mends: 'always',
        },
  ]
}

/** Containers that are asked at most; a resolver that is dead is dead for all. */
const maximumAsked = 50
const answerMs = 2_000

const names: Check = async engine => {
  const sandboxes = [...engine.state.sandboxes.values()].filter(({ containerId, netns }) => {
    const container = engine.state.containers.get(containerId)
    return (
      netns !== undefined &&
      container?.state.status === 'running' &&
      engine.namesSeenBy(containerId).resolver === 'embedded'
    )
  })
  const asked = sandboxes.slice(0, maximumAsked)
  if (asked.length === 0) return [fine('dns', 'no running container uses the embedded DNS')]
  const times = await Promise.all(asked.map(({ netns }) => answerTime(engine, netns ?? '')))
  const answered = times.filter(time => time !== undefined).sort((one, other) => one - other)
  const median = answered[Math.floor(answered.length / 2)]
  const text = `embedded DNS answers${median === undefined ? '' : ` in ${median.toFixed(1)} ms`} for ${answered.length} of ${asked.length} containers`
  if (answered.length === asked.length) return [fine('dns', text)]
  return [
    {
      Check: 'dns',
      Status: 'error',
      Text: text,
      Fix: 'restart the engine: containers go on running',
      Mends: 'never',
    },
  ]
}

/** Asks for the host's own name; any answer will do. Milliseconds; undefined = none came. */
async function answerTime(engine: ObservedEngine, netns: string): Promise<number | undefined> {
  const fd = await engine.kernel.openSocket(netns, 4, 'udp').catch(() => undefined)
  if (fd === undefined) return undefined
  // The question `localhost. A`: header, one label, root, type, class.
  const question = Buffer.concat([
    Buffer.from([0x4c, 0x53, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9]),
    Buffer.from('localhost'),
    Buffer.from([0, 0, 1, 0, 1]),
  ])
  const socket = createSocket('udp4')
  try {
    return await new Promise(resolve => {
      const started = performance.now()
      const timer = setTimeout(() => resolve(undefined), answerMs)
      const end = (time: number | undefined) => {
        clearTimeout(timer)
        resolve(time)
      }
      socket.on('message', () => end(performance.now() - started))
      socket.on('error', () => end(undefined))
      socket.bind({ fd }, () => socket.send(question, 53, embeddedResolver))
    })
  } finally {
    socket.close()
  }
}

/** Runs of ports that are held without sockets. */
const wide = 256

const foreignListeners: Check = async engine => {
  const findings: Finding[] = []
  let ranges = 0
  for (const { ports, containerId } of engine.state.sandboxes.values()) {
    for (const { protocol, hostFrom, hostTo } of ports) {
      if (hostTo - hostFrom < wide) continue
      ranges += 1
      const inside = (await engine.kernel.listeners(protocol)).filter(
        ({ port }) => port >= hostFrom && port <= hostTo,
      )
      if (inside.length === 0) continue
      const name = engine.state.containers.get(containerId)?.name ?? containerId
      findings.push({
        Check: 'ports',
        Status: 'warning',
        Text: `a program on the host listens on ${protocol} ${inside.map(({ port }) => port).join(', ')}, inside the run ${hostFrom}-${hostTo} published by ${name}: nobody reaches it`,
        Fix: `ss -lntup | grep :${inside[0]?.port ?? ''}`,
        Mends: 'never',
      })
    }
  }
  return findings.length === 0
    ? [
        fine(
          'ports',
          ranges === 0
            ? 'no wide run of ports is published'
            : 'nobody else listens inside published runs of ports',
        ),
      ]
    : findings
}

const checks: readonly Check[] = [
  kernelParts,
  forwarding,
  foreignFirewalls,
  overlappingRoutes,
  mtus,
  drifted,
  names,
  foreignListeners,
]

/** Mends what can be mended (or only what is named) and looks again. */
export async function mend(engine: ObservedEngine, only: readonly string[]): Promise<Diagnosis> {
  const known: readonly string[] = ['forwarding', 'forward', 'links', 'rules']
  const wrong = only.find(name => !known.includes(name))
  if (wrong !== undefined)
    throw fault('invalidParameter', `nothing mends ${wrong}: there are ${known.join(', ')}`)
  const wants = (name: CheckName) => only.length === 0 || only.includes(name)
  if (wants('forwarding')) {
    const off = forwardingSwitches(engine).filter(key => !readSwitch(key))
    if (off.length > 0) await engine.kernel.run(off.map(key => ({ do: 'sysctl.set', key, value: '1' })))
  }
  if (only.includes('forward')) await acceptBridges(engine)
  if (wants('links') || wants('rules')) await engine.mend()
  return await diagnose(engine)
}

/**
 * Accepts at the head of iptables' FORWARD what goes through our bridges. It opens nothing that our own table closes:
 * an accept ends one chain, not the hook.
 */
async function acceptBridges(engine: ObservedEngine): Promise<void> {
  if (engine.info().firewall.driver === 'iptables') return
  const bridges = [...engine.state.networks.values()].flatMap(({ bridge }) => bridge?.name ?? [])
  for (const family of [4, 6] as const) {
    const tables = await engine.kernel.iptables(family).catch(() => [])
    const filter = tables.find(({ name }) => name === 'filter')
    if (filter?.chains.get('FORWARD') !== 'DROP') continue
    const there = new Set(filter.rules.map(({ chain, spec }) => `${chain} ${spec}`))
    const lines = bridges
      .flatMap(bridge => [`FORWARD -i ${bridge} -j ACCEPT`, `FORWARD -o ${bridge} -j ACCEPT`])
      .filter(line => !there.has(line))
      .map(line => `-I ${line}`)
    if (lines.length > 0) {
      await engine.kernel.run([
        { do: 'iptables.restore', family, changes: [{ table: 'filter', chains: [], lines }], undo: [] },
      ])
    }
  }
}
