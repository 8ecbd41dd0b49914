/**
 * The same command lines given to docker CLI 28.2.2 and to us, against an engine that records: the requests have to be
 * the same, key for key, and so have output, complaints and exit status where nothing is said to the contrary.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  docker,
  fakeEngine,
  linkspan,
  noDocker,
  type Answer,
  type FakeEngine,
  type RecordedRequest,
} from './testing.ts'

const id = 'a'.repeat(64)
const now = Date.UTC(2026, 10, 23, 15, 0, 0)
const ago = (seconds: number): number => Math.floor(Date.now() / 1000) - seconds

const network = (name: string, more: object = {}): object => ({
  Name: name,
  Id: id.replace(/^a+/, run => `${Buffer.from(name).toString('hex')}${run}`).slice(0, 64),
  Created: '2026-11-23T15:47:50.050040613Z',
  Scope: 'local',
  Driver: 'bridge',
  EnableIPv4: true,
  EnableIPv6: false,
  IPAM: { Driver: 'default', Options: {}, Config: [{ Subnet: '172.18.0.0/16', Gateway: '172.18.0.1' }] },
  Internal: false,
  Attachable: false,
  Ingress: false,
  ConfigFrom: { Network: '' },
  ConfigOnly: false,
  Containers: {},
  Options: {},
  Labels: {},
  ...more,
})

const container = (name: string, more: object = {}): object => ({
  Id: id,
  Names: [`/${name}`],
  Image: 'busybox',
  ImageID: `sha256:${id}`,
  Command: "httpd -f -p 80 -h '/var/www'",
  Created: ago(5000),
  Ports: [],
  Labels: { b: '2', a: '1' },
  State: 'running',
  Status: 'Up 2 hours',
  HostConfig: { NetworkMode: 'bridge' },
  NetworkSettings: { Networks: { bridge: {} } },
  Mounts: [],
  ...more,
})

const port = (inside: number, outside?: number, address?: string, type = 'tcp'): object => ({
  ...(address === undefined ? {} : { IP: address }),
  PrivatePort: inside,
  ...(outside === undefined ? {} : { PublicPort: outside }),
  Type: type,
})

const containers = [
  container('web', { Ports: [port(80, 80, '0.0.0.0'), port(80, 80, '::'), port(443)] }),
  container('ranges', {
    Ports: [
      ...[8000, 8001, 8002, 9000].map(number => port(number, number, '0.0.0.0')),
      ...[8000, 8001].map(number => port(number, number, '::')),
      port(53, 5353, '0.0.0.0', 'udp'),
      port(53, 5353, '::', 'udp'),
      port(90),
      port(91),
      port(7, 7, '127.0.0.1', 'sctp'),
    ],
    Created: ago(70),
    Names: ['/ranges', '/link1/alias'],
    Image: `busybox@sha256:${'c'.repeat(64)}`,
  }),
  container('ünï', {
    Command: 'sleep',
    Image: `sha256:${id}`,
    Created: ago(200_000),
    State: 'exited',
    Status: 'Exited (0) 2 days ago',
  }),
]

const images = [
  {
    Id: `sha256:${id}`,
    RepoTags: ['localhost:5000/team/busy:1.2'],
    RepoDigests: null,
    Created: ago(90_000),
    Size: 1_982_256,
    SharedSize: -1,
    Containers: -1,
  },
  {
    Id: `sha256:${'b'.repeat(64)}`,
    RepoTags: [],
    RepoDigests: [],
    Created: ago(3_000_000),
    Size: 12_345_678_901,
    SharedSize: -1,
    Containers: -1,
  },
]

const details = {
  Id: id,
  Name: '/web',
  Created: '2026-11-23T15:47:50Z',
  Config: {
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: ['A=1'],
    Labels: { k: 'v' },
    Image: 'busybox',
  },
  HostConfig: { AutoRemove: false, Links: ['/test1:/link2/db'], NetworkMode: 'bridge' },
  State: {
    Status: 'running',
    Running: true,
    Paused: false,
    Restarting: false,
    ExitCode: 0,
    Error: '',
    Pid: 12,
  },
  NetworkSettings: {
    Ports: {
      '80/tcp': [
        { HostIp: '0.0.0.0', HostPort: '8080' },
        { HostIp: '::', HostPort: '8080' },
      ],
      '443/tcp': null,
    },
    Networks: {
      bridge: { IPAddress: '172.17.0.2', MacAddress: '02:42:ac:11:00:02' },
      shop: { IPAddress: '172.18.0.3' },
    },
  },
}

function answer({ method, path }: RecordedRequest): Answer | undefined {
  const [route = ''] = path.split('?')
  switch (`${method} ${route}`) {
    case 'POST /containers/create':
      return { status: 201, body: { Id: id, Warnings: ['be careful'] } }
    case 'POST /networks/create':
      return { status: 201, body: { Id: id, Warning: '' } }
    case 'GET /networks':
      return {
        body: [network('net10'), network('net2', { Driver: 'host', Labels: { x: 'y' } }), network('bridge')],
      }
    case 'GET /networks/shop':
      return {
        body: network('shop', {
          Containers: { [id]: { Name: 'web', IPv4Address: '172.18.0.3/16' } },
          Labels: { a: '<b>' },
        }),
      }
    case 'POST /networks/prune':
      return { body: { NetworksDeleted: ['one', 'two'] } }
    case 'DELETE /networks/gone':
      return { status: 204 }
    case 'GET /containers/json':
      return { body: containers }
    case 'GET /containers/web/json':
    case `GET /containers/${id}/json`:
      return { body: details }
    case 'GET /containers/web/top':
      return {
        body: {
          Titles: ['UID', 'PID', 'CMD'],
          Processes: [
            ['root', '12', 'httpd'],
            ['root', '4711', 'sleep 3600'],
          ],
        },
      }
    case 'GET /images/json':
      return { body: images }
    case 'POST /containers/prune':
      return { body: { ContainersDeleted: [id], SpaceReclaimed: 1234 } }
    case 'POST /containers/web/wait':
      return { body: { StatusCode: 7 } }
    case 'POST /containers/web/stop':
    case 'POST /containers/web/start':
    case 'POST /containers/web/rename':
    case 'DELETE /containers/web':
      return { status: 204 }
    case 'DELETE /images/busybox':
      return { body: [{ Untagged: 'busybox:latest' }, { Deleted: `sha256:${id}` }] }
    case 'GET /events':
      return {
        body: [
          {
            Type: 'network',
            Action: 'connect',
            Actor: { ID: id, Attributes: { type: 'bridge', container: 'c', name: 'shop' } },
            scope: 'local',
            time: 1_795_449_670,
            timeNano: 1_795_449_670_000_000_000,
          },
          {
            Type: 'container',
            Action: 'exec_start: ls',
            Actor: { ID: id, Attributes: {} },
            scope: 'local',
            time: 1_795_449_671,
            timeNano: 1_795_449_671_000_000_000,
          },
        ]
          .map(event => `${JSON.stringify(event)}\n`)
          .join(''),
      }
    case 'POST /images/create':
      return {
        body: [
          { status: 'Pulling from team/x', id: 'y' },
          { status: 'Downloading', progressDetail: { current: 1, total: 2 }, progress: '[=>]', id: 'abc' },
          { status: 'Pull complete', progressDetail: {}, id: 'abc' },
          { status: 'Status: Downloaded newer image for localhost:5000/team/x:y' },
        ]
          .map(line => `${JSON.stringify(line)}\r\n`)
          .join(''),
      }
    case 'POST /images/load':
      return { body: `${JSON.stringify({ stream: 'Loaded image: busybox:latest\n' })}\n` }
    default:
      return undefined
  }
}

/** Command lines of which requests, output, complaints and status have to agree. */
const alike: readonly string[] = [
  'create busybox',
  'create -it --name x --network foo --ip 1.2.3.4 --network-alias a --link c:d -p 80 -p 127.0.0.1:8080:80 -p 9000-9002:9000-9002/udp -p [::1]:7:7 -P --expose 1-3 -e A=1 -e HOME -e NOSUCH -v /a:/b:ro -v vol:/c -v /anon --tmpfs /t:size=1m -w /w -u 1:2 -h hh --entrypoint /e --label l=v --dns 1.1.1.1 --dns-search s --dns-opt o --add-host h:1.2.3.4 --add-host v6=[::1] --add-host g:host-gateway --sysctl net.a=1 --cap-add NET_ADMIN --cap-drop all --read-only --restart on-failure:3 --init -m 64m --cpus 1.5 --pids-limit 10 --ulimit nofile=1:2 --stop-signal TERM --stop-timeout 5 --log-driver json-file --log-opt max-size=1m --shm-size 1g --mount type=bind,src=/x,dst=/y,ro --security-opt no-new-privileges --device /dev/null --mac-address 02:42:ac:11:00:09 --ip6 fd00::9 --link-local-ip 169.254.1.1 --pid host --ipc host --uts host --group-add 5 --oom-score-adj 5 --memory-swap -1 busybox sh -c x',
  'create --network name=n1,ip=1.2.3.4,alias=a,alias=b,driver-opt=K=V,gw-priority=5,mac-address=02:00:00:00:00:01 --network n2 busybox',
  'create --network n1 --network n2 -t -a stdout busybox',
  'create --network host --hostname x --privileged -i busybox',
  'create --network n1 busybox',
  'create --network n1 --network-alias z busybox',
  'create --network container:web busybox',
  'create --link a:b --link c busybox',
  'create -P --rm=false --init=false -e=A=B busybox',
  'create --health-cmd x --health-interval 5s --health-retries 3 --health-timeout 1m30s busybox',
  'create --no-healthcheck --cap-add=all --device /dev/a:/dev/b:r busybox',
  'create --mount type=tmpfs,dst=/t,tmpfs-size=100 --volumes-from a busybox',
  'create -p 8000-8010:80 -p 1:2/udp --link a --net x --net-alias q busybox',
  'create -p target=80,published=8080,protocol=udp busybox',
  'create --entrypoint= busybox a -- b',
  'create -a stdin busybox',
  'create -i -a stdout busybox',
  'create --cap-add SYS_TIME --cap-add net_admin --cap-drop CAP_CHOWN --memory-reservation 10m --cpuset-cpus 0-1 -c 5 --cpu-quota 7 busybox',
  'network create x',
  'network create --subnet 10.0.0.0/24 --gateway 10.0.0.1 --ip-range 10.0.0.0/25 --aux-address a=10.0.0.7 --ipv6 --label a=b -o k=v --internal --attachable --ipam-opt x=y y',
  'network create --config-only --ipv4=false --scope swarm -d macvlan x',
  'network connect a b',
  'network connect --ip 1.2.3.4 --ip6 fd00::1 --alias x,z --alias y --link c:d --driver-opt k=v --gw-priority 3 --link-local-ip 169.254.0.1 a b',
  'network disconnect -f a b',
  'network ls',
  'network ls -q --no-trunc -f driver=bridge -f name=x -f name=y',
  'network ls --format {{json .}}',
  'network ls --format json',
  'network ls --format table',
  'network ls --format table\\t{{.Name}}\\t{{.IPv4}}\\t{{.Label "x"}}\\t{{.CreatedAt}}',
  'network ls --format table\\t{{upper .Name}}:{{.ID}}',
  'network inspect shop',
  'network inspect -v shop nosuch',
  'network inspect -f {{range .Containers}}{{println .Name .IPv4Address}}{{end}} shop',
  'network inspect -f {{json .IPAM.Config}} shop',
  'network inspect -f {{.Id}} shop',
  'network inspect -f {{.ID}} shop',
  'network inspect --format json shop',
  'network prune -f --filter until=1h',
  'ps',
  'ps -a -n 3 -s -f status=running',
  'ps -l -q',
  'ps --no-trunc',
  'ps --format {{.Names}}|{{.Ports}}|{{.Image}}|{{.Command}}|{{.Label "a"}}|{{.Labels}}|{{.State}}|{{.Networks}}|{{.LocalVolumes}}',
  'ps --format table\\t{{.Names}}\\t{{.RunningFor}}\\t{{.Status}}',
  'stop -t 3 -s INT web nosuch',
  'restart a',
  'kill -s HUP a',
  'rm -fv web',
  'rm -f a',
  'rename web b',
  'rename a b',
  'start web nosuch',
  'wait web',
  'pause a',
  'unpause a',
  'port web',
  'port web 80',
  'port web 80/tcp',
  'port web 443',
  'port web x',
  'top web -x aux',
  'images',
  'images -a --no-trunc --digests -f dangling=true foo',
  'images --format {{.Repository}}:{{.Tag}}@{{.Digest}}={{.CreatedSince}}/{{.Size}}/{{.ID}}',
  'images -q',
  'rmi -f busybox',
  'rmi nosuch',
  'rmi -f nosuch',
  'pull localhost:5000/team/x:y',
  'pull -q localhost:5000/team/x:y',
  'pull team/x',
  'pull -a x',
  `pull x@sha256:${'0'.repeat(64)}`,
  'pull UPPER',
  'pull a:b:c',
  'tag a b:c',
  'tag a localhost:5000/b',
  'events --since 5 --until 6 -f type=network',
  'events --until 6 --format {{.Type}}/{{.Action}}/{{.Actor.Attributes.name}}',
  'inspect web',
  'inspect --type container nosuch',
  'inspect --type=container -f {{.State.Running}}|{{.NetworkSettings.Networks.bridge.IPAddress}}|{{len .NetworkSettings.Networks}} web',
  'inspect -f {{slice .Id 0 12}}{{.HostConfig.Links}} web',
  'inspect -f {{range $k,$v:=.NetworkSettings.Networks}}{{$k}}={{$v.IPAddress}};{{end}} web',
  'inspect -f {{(index (index .NetworkSettings.Ports "80/tcp") 0).HostPort}} web',
  'inspect -f {{if .State.Running}}up{{else}}down{{end}} web',
  'inspect -f {{join .Config.Env ","}}{{index .Config.Labels "k"}} web',
  'inspect -f {{.State web',
  'import -c CMD=x -m msg - b:latest',
  'load -q',
  'container prune -f',
  'container ls -q',
  'image ls -q',
  'run',
  'run --nope',
  'run -X busybox',
  'ps --nope',
  'ps a',
  'nosuch',
  'network create',
  'network rm gone nosuch',
  'exec a',
  'rename a',
  'kill',
  'run -p 99999:80 busybox',
  'run -p a:b busybox',
  'run -p 1-2:80-85 busybox',
  'run -p 1.2.3:80:80 busybox',
  'run --memory abc busybox',
  'run --network a --network a busybox',
  'run --network host --network a busybox',
  'run --network name=z,foo=bar busybox',
  'run --network alias=a busybox',
  'run --ip 1.2.3.4 --network name=z,ip=1.2.3.5 busybox',
  'run --rm --restart always busybox',
  'run --restart a:b:c busybox',
  'run --restart on-failure:x busybox',
  'run -d --rm -a stdout busybox',
  'run -it busybox',
  'run --dns x busybox',
  'run --add-host x busybox',
  'run --add-host x:y busybox',
  'run -e= busybox',
  'run --ulimit x busybox',
  'run --sysctl x busybox',
  'run --pull x busybox',
  'run --mac-address zz busybox',
  'run --stop-timeout x busybox',
  'run --env-file /nope busybox',
  'run --cpus x busybox',
  'run --expose x busybox',
  'run --expose 5-3 busybox',
  'run --rm=maybe busybox',
  'run --name',
  'ps -f x',
  'ps --format {{.Foo',
  'ps --format {{.Foo}}',
  'ps --format {{nosuch}}',
  'network create --gateway 10.0.0.1 x',
  'network create --subnet 10.0.0.0/24 --ip-range 10.1.0.0/24 x',
  'network create --subnet 10.0.0.0/24 --subnet 10.0.0.0/25 x',
  'network create --subnet 10.0.0.0/24 --gateway 10.0.0.1 --gateway 10.0.0.2 x',
  'network create --subnet 10.0.0.0/24 --subnet 10.1.0.0/24 --gateway 10.0.0.1 --gateway 10.0.0.2 x',
  'network create --subnet 10.0.0.0/24 --aux-address a=10.1.0.1 x',
]

/** Splits at spaces but inside braces: templates stay whole; `\t` stands for a tab or, before `{{`, for a space. */
function words(line: string): string[] {
  return (line.match(/(?:\{\{.*?\}\}|[^\s{]|\{)+/g) ?? []).map(word => word.replace(/^table\\t/, 'table '))
}

/** Docker sends the environment and the binds in the order of a Go map, which is another one each time. */
function inOrder(request: RecordedRequest): RecordedRequest {
  const { body } = request
  return { ...request, body: sorted(body, ['Env', 'Binds']) }
}

/** The same value with the lists under these keys in alphabetical order. */
function sorted(value: unknown, keys: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      keys.includes(key) && Array.isArray(each) ? each.map(String).toSorted() : sorted(each, keys),
    ]),
  )
}

/** Requests that docker makes and that decide nothing here. */
function essential(requests: readonly RecordedRequest[]): RecordedRequest[] {
  const seen = requests
    .map(inOrder)
    .filter(({ method, path }) => !(method === 'GET' && /^\/networks\/(?:gone|nosuch)$/.test(path)))
  return [...seen].sort((a, b) => `${a.method}${a.path}`.localeCompare(`${b.method}${b.path}`))
}

describe.skipIf(noDocker !== '')('docker and linkspan do the same', () => {
  let engine: FakeEngine
  beforeAll(async () => {
    engine = await fakeEngine(answer)
  })
  beforeEach(() => void engine.requests.splice(0))
  afterAll(async () => engine.close())

  it.each(alike)('%s', async line => {
    const env = { DOCKER_HOST: engine.host, HOME: '/nonexistent' }
    const theirs = await docker(words(line), { env })
    const asked = essential(engine.requests.splice(0))
    const ours = await linkspan(words(line), { env, ...(line.startsWith('events') ? { now } : {}) })
    expect(essential(engine.requests)).toEqual(asked)
    expect(ours).toEqual(theirs)
  })

  it('complains of a field that is not there', async () => {
    const env = { DOCKER_HOST: engine.host }
    const theirs = await docker(['inspect', '-f', '{{.Foo}}', 'web'], { env })
    expect(await linkspan(['inspect', '-f', '{{.Foo}}', 'web'], { env })).toEqual(theirs)
  })
})
