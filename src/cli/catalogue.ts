/** Every command by name with one line of what it does. Behaviour is loaded when the command is called. */
import type { Command } from './command.ts'

export interface Leaf {
  readonly kind: 'command'
  readonly name: string
  readonly aliases?: readonly string[]
  readonly summary: string
  readonly load: () => Promise<Command>
}

export interface Group {
  readonly kind: 'group'
  readonly name: string
  readonly aliases?: readonly string[]
  readonly summary: string
  readonly commands: readonly Entry[]
}

export type Entry = Leaf | Group

function leaf(
  name: string,
  summary: string,
  load: () => Promise<Command>,
  aliases: readonly string[] = [],
): Leaf {
  return { kind: 'command', name, aliases, summary, load }
}

/** The same command under another name, as `docker container ls` is `docker ps`. */
function also(entry: Leaf, name: string, aliases: readonly string[] = []): Leaf {
  return { ...entry, name, aliases }
}

const run = leaf(
  'run',
  'Create and run a new container from an image',
  async () => (await import('./commands/run.ts')).run,
)
const create = leaf(
  'create',
  'Create a new container',
  async () => (await import('./commands/run.ts')).create,
)
const exec = leaf(
  'exec',
  'Execute a command in a running container',
  async () => (await import('./commands/exec.ts')).exec,
)
const ps = leaf('ps', 'List containers', async () => (await import('./commands/ps.ts')).ps)
const logs = leaf(
  'logs',
  'Fetch the logs of a container',
  async () => (await import('./commands/logs.ts')).logs,
)
const start = leaf(
  'start',
  'Start one or more stopped containers',
  async () => (await import('./commands/start.ts')).start,
)
const attach = leaf(
  'attach',
  'Attach local standard input, output, and error streams to a running container',
  async () => (await import('./commands/start.ts')).attach,
)
const lifecycle = () => import('./commands/lifecycle.ts')
const stop = leaf('stop', 'Stop one or more running containers', async () => (await lifecycle()).stop)
const restart = leaf('restart', 'Restart one or more containers', async () => (await lifecycle()).restart)
const kill = leaf('kill', 'Kill one or more running containers', async () => (await lifecycle()).kill)
const pause = leaf(
  'pause',
  'Pause all processes within one or more containers',
  async () => (await lifecycle()).pause,
)
const unpause = leaf(
  'unpause',
  'Unpause all processes within one or more containers',
  async () => (await lifecycle()).unpause,
)
const rm = leaf('rm', 'Remove one or more containers', async () => (await lifecycle()).rm, ['remove'])
const rename = leaf('rename', 'Rename a container', async () => (await lifecycle()).rename)
const wait = leaf(
  'wait',
  'Block until one or more containers stop, then print their exit codes',
  async () => (await lifecycle()).wait,
)
const prune = leaf('prune', 'Remove all stopped containers', async () => (await lifecycle()).prune)
const inspect = leaf(
  'inspect',
  'Return low-level information on Docker objects',
  async () => (await import('./commands/inspect.ts')).inspect,
)
const port = leaf(
  'port',
  'List port mappings or a specific mapping for the container',
  async () => (await import('./commands/port.ts')).port,
)
const top = leaf(
  'top',
  'Display the running processes of a container',
  async () => (await import('./commands/top.ts')).top,
)

const imageModule = () => import('./commands/images.ts')
const images = leaf('images', 'List images', async () => (await imageModule()).images)
const pull = leaf('pull', 'Download an image from a registry', async () => (await imageModule()).pull)
const load = leaf('load', 'Load an image from a tar archive or STDIN', async () => (await imageModule()).load)
const importImage = leaf(
  'import',
  'Import the contents from a tarball to create a filesystem image',
  async () => (await imageModule()).importImage,
)
const tag = leaf(
  'tag',
  'Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE',
  async () => (await imageModule()).tag,
)
const rmi = leaf('rmi', 'Remove one or more images', async () => (await imageModule()).rmi)

const events = leaf(
  'events',
  'Get real time events from the server',
  async () => (await import('./commands/events.ts')).events,
)
const version = leaf(
  'version',
  'Show the version of client and engine',
  async () => (await import('./commands/version.ts')).version,
)
const info = leaf(
  'info',
  'Display system-wide information',
  async () => (await import('./commands/info.ts')).info,
)

const networkModule = () => import('./commands/network.ts')
const network: Group = {
  kind: 'group',
  name: 'network',
  summary: 'Manage networks',
  commands: [
    leaf('connect', 'Connect a container to a network', async () => (await networkModule()).connect),
    leaf('create', 'Create a network', async () => (await networkModule()).create),
    leaf(
      'disconnect',
      'Disconnect a container from a network',
      async () => (await networkModule()).disconnect,
    ),
    leaf(
      'inspect',
      'Display detailed information on one or more networks',
      async () => (await networkModule()).inspect,
    ),
    leaf('ls', 'List networks', async () => (await networkModule()).ls, ['list']),
    leaf('prune', 'Remove all unused networks', async () => (await networkModule()).prune),
    leaf('rm', 'Remove one or more networks', async () => (await networkModule()).rm, ['remove']),
  ],
}

const container: Group = {
  kind: 'group',
  name: 'container',
  summary: 'Manage containers',
  commands: [
    attach,
    create,
    exec,
    leaf(
      'inspect',
      'Display detailed information on one or more containers',
      async () => (await import('./commands/inspect.ts')).inspectContainer,
    ),
    kill,
    logs,
    also(ps, 'ls', ['list', 'ps']),
    pause,
    port,
    prune,
    rename,
    restart,
    rm,
    run,
    start,
    stop,
    top,
    unpause,
    wait,
  ],
}

const image: Group = {
  kind: 'group',
  name: 'image',
  summary: 'Manage images',
  commands: [
    importImage,
    leaf(
      'inspect',
      'Display detailed information on one or more images',
      async () => (await import('./commands/inspect.ts')).inspectImage,
    ),
    load,
    also(images, 'ls', ['list']),
    pull,
    also(rmi, 'rm', ['remove']),
    tag,
  ],
}

const system: Group = {
  kind: 'group',
  name: 'system',
  summary: 'Manage the engine',
  commands: [events, info],
}

const labModule = () => import('./commands/lab.ts')
const lab: Group = {
  kind: 'group',
  name: 'lab',
  summary: 'A throw-away host with an internet of its own, to try things in',
  commands: [
    leaf('up', 'Build the lab, or repair it', async () => (await labModule()).up),
    leaf('exec', "Run a command on the lab's host or in its internet", async () => (await labModule()).exec),
    leaf('down', 'Remove the lab and everything in it', async () => (await labModule()).down),
  ],
}

const dns = leaf(
  'dns',
  'Show what a container can resolve, and what it asks',
  async () => (await import('./commands/dns.ts')).dns,
)
const explain = leaf(
  'explain',
  'Say whether one end reaches another, hop by hop, and if not, why',
  async () => (await import('./commands/explain.ts')).explain,
)
const trace = leaf(
  'trace',
  'Follow packets of containers live through the rules of the host',
  async () => (await import('./commands/trace.ts')).trace,
)
const doctor = leaf(
  'doctor',
  'Look the host over, say what is wrong and how to mend it',
  async () => (await import('./commands/doctor.ts')).doctor,
)
const capture = leaf(
  'capture',
  'Capture a container, or each link of a way, as one file for Wireshark',
  async () => (await import('./commands/capture.ts')).capture,
)
const rules = leaf(
  'rules',
  'Show the firewall rules that concern a container, and why they are there',
  async () => (await import('./commands/rules.ts')).rules,
)
const graph = leaf(
  'graph',
  'Draw networks and containers as Mermaid, Graphviz or SVG',
  async () => (await import('./commands/graph.ts')).graph,
)
const ui = leaf('ui', 'Print the address of the page', async () => (await import('./commands/ui.ts')).ui)
const daemon = leaf('daemon', 'Run the engine', async () => (await import('./commands/daemon.ts')).daemon)
const complete = leaf(
  'complete',
  'Print what bash, zsh or fish needs to complete commands and names',
  async () => (await import('./commands/complete.ts')).complete,
  ['completion'],
)

/** In the order of the help, by section. */
export const sections: readonly { readonly title: string; readonly entries: readonly Entry[] }[] = [
  { title: 'Networks and what is on them', entries: [network, port, dns, lab] },
  { title: 'What the network does, and why', entries: [ui, explain, trace, capture, rules, graph, doctor] },
  { title: 'Containers', entries: [run, exec, ps, logs, inspect, start, stop, restart, kill, rm] },
  { title: 'Containers, less often', entries: [attach, create, pause, rename, top, unpause, wait] },
  { title: 'Images', entries: [images, pull, load, importImage, tag, rmi] },
  { title: 'The engine', entries: [daemon, events, info, version, complete] },
  { title: 'The same by kind', entries: [container, image, system] },
]

export const catalogue: readonly Entry[] = sections.flatMap(section => section.entries)
