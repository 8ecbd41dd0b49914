/**
 * Bad input and faults: Docker's status and words, and afterwards the host and the API are exactly as they were.
 */
import { existsSync, readdirSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { TestHost, type Running } from './support/host.ts'
import { apiState, ask, sendBytes } from './support/http.ts'

let host: TestHost
/** A program that has nothing to do with us and holds TCP port 7777, and 7790 on one address. */
let foreign: Running
/** What host and API look like when nobody has done anything wrong. */
let hostBefore = ''
let apiBefore = ''

const words = (line: string): readonly string[] => line.split(' ')

beforeAll(async () => {
  host = await TestHost.open()
  await host.ok(...words('network create --subnet 10.60.0.0/24 shop'))
  await host.ok(...words('network create --subnet 10.61.0.0/30 tiny'))
  await host.ok(...words('network create automatic'))
  await host.ok(
    ...words('run -d --name web --network shop --ip 10.60.0.10 -p 8080:80 -p 8080:80/udp busybox sleep 3600'),
  )
  await host.ok(...words('run -d --name holder --network tiny busybox sleep 3600'))
  await host.ok(...words('run -d --name db busybox sleep 3600'))
  await host.ok(...words('create --name idle busybox sleep 3600'))
  foreign = host.spawn(process.execPath, [
    '-e',
    `const { createServer } = require('net')
     createServer().listen(7777, '0.0.0.0', () => createServer().listen(7790, '127.0.0.1', () => console.log('listening')))`,
  ])
  for (let attempt = 0; attempt < 200 && !foreign.output.includes('listening'); attempt++) {
    await host.shell('sleep 0.05')
  }
  hostBefore = await host.settled()
  apiBefore = await apiState(host)
})
afterAll(async () => {
  foreign?.kill()
  await host?.close()
})

async function expectUnchanged(): Promise<void> {
  expect(await host.settlesTo(hostBefore)).toBe(hostBefore)
  expect(await apiState(host)).toBe(apiBefore)
}

describe('request bodies', () => {
  afterEach(expectUnchanged)

  const paths = [
    '/containers/create',
    '/networks/create',
    '/networks/shop/connect',
    '/networks/shop/disconnect',
    '/containers/db/exec',
    '/containers/db/update',
  ]
  const bodies: readonly (readonly [
    what: string,
    asked: { body?: unknown; type?: string },
    message: RegExp,
  ])[] = [
    ['that break off', { body: '{"Name":' }, /^invalid JSON: /],
    ['that are no JSON', { body: 'name=x' }, /^invalid JSON: /],
    ['that are no text', { body: Buffer.from([0x7b, 0xff, 0xfe, 0x00, 0x7d]) }, /^invalid JSON: /],
    ['with something behind', { body: '{"Name":"x"} {"Name":"y"}' }, /^unexpected content after JSON$/],
    ['with rubbish behind', { body: '{"Name":"x"}x' }, /^unexpected content after JSON$/],
    ['that are empty', { body: '' }, /EOF/],
    ['of another type', { body: {}, type: 'text/plain' }, /^unsupported Content-Type header \(text\/plain\)/],
    ['of no type', { body: '{}', type: '' }, /^unsupported Content-Type header/],
    ['that are a list', { body: [] }, /\S/],
    ['that are a number', { body: '7' }, /\S/],
    ['that are a string', { body: '"Name"' }, /\S/],
    ['that are too deep', { body: `${'['.repeat(50_000)}${']'.repeat(50_000)}` }, /\S/],
  ]
  it.each(
    paths.flatMap(path => bodies.map(([what, asked, message]) => [path, what, asked, message] as const)),
  )('POST %s refuses bodies %s', async (path, _, asked, message) => {
    const answer = await ask(host, 'POST', path, asked)
    expect([answer.status, answer.text]).toEqual([400, expect.stringMatching(/^\{"message":".*"\}\n$/)])
    expect(answer.message).toMatch(message)
  })

  it.each<readonly [path: string, body: unknown]>([
    ['/networks/create', { Name: 5 }],
    ['/networks/create', { Name: '' }],
    ['/networks/create', { Name: '   ' }],
    ['/networks/create', {}],
    ['/networks/create', { Name: 'x', Driver: [] }],
    ['/networks/create', { Name: 'x', Internal: 'yes' }],
    ['/networks/create', { Name: 'x', Options: ['a'] }],
    ['/networks/create', { Name: 'x', Options: { a: 1 } }],
    ['/networks/create', { Name: 'x', Labels: 'a=b' }],
    ['/networks/create', { Name: 'x', IPAM: { Config: {} } }],
    ['/networks/create', { Name: 'x', IPAM: { Config: [{ Subnet: 7 }] } }],
    ['/networks/create', { Name: 'x', IPAM: { Config: [{ Subnet: '10.1.0.0/33' }] } }],
    ['/networks/create', { Name: 'x', IPAM: { Config: [{ Subnet: '10.1.0.5/24' }] } }],
    ['/networks/create', { Name: 'x', IPAM: { Config: [{ Subnet: '10.1.0.0/24', Gateway: '10.2.0.1' }] } }],
    [
      '/networks/create',
      { Name: 'x', IPAM: { Config: [{ Subnet: '10.1.0.0/24', IPRange: '10.1.0.0/16' }] } },
    ],
    ['/networks/create', { Name: 'x', EnableIPv4: false, EnableIPv6: false }],
    ['/networks/create', { Name: 'x', Options: { 'com.docker.network.bridge.enable_icc': 'perhaps' } }],
    ['/networks/create', { Name: 'x', Options: { 'com.docker.network.driver.mtu': '-1' } }],
    ['/containers/create', {}],
    ['/containers/create', { Image: '' }],
    ['/containers/create', { Image: 5 }],
    ['/containers/create', { Image: 'busybox', Cmd: 5 }],
    ['/containers/create', { Image: 'busybox', Env: 'A=b' }],
    ['/containers/create', { Image: 'busybox', Labels: ['a'] }],
    ['/containers/create', { Image: 'busybox', ExposedPorts: ['80/tcp'] }],
    ['/containers/create', { Image: 'busybox', ExposedPorts: { 'http/tcp': {} } }],
    ['/containers/create', { Image: 'busybox', ExposedPorts: { '70000/tcp': {} } }],
    ['/containers/create', { Image: 'busybox', HostConfig: [] }],
    ['/containers/create', { Image: 'busybox', HostConfig: { PortBindings: [] } }],
    [
      '/containers/create',
      { Image: 'busybox', HostConfig: { PortBindings: { '80/tcp': [{ HostPort: '99999' }] } } },
    ],
    [
      '/containers/create',
      { Image: 'busybox', HostConfig: { PortBindings: { '80/tcp': [{ HostPort: 'x' }] } } },
    ],
    ['/containers/create', { Image: 'busybox', HostConfig: { PortBindings: { '0/tcp': [{}] } } }],
    [
      '/containers/create',
      { Image: 'busybox', HostConfig: { PortBindings: { '80/tcp': [{ HostIp: 'here' }] } } },
    ],
    ['/containers/create', { Image: 'busybox', HostConfig: { Memory: 'lots' } }],
    ['/containers/create', { Image: 'busybox', HostConfig: { RestartPolicy: 'always' } }],
    ['/containers/create', { Image: 'busybox', HostConfig: { RestartPolicy: { Name: 'sometimes' } } }],
    ['/containers/create', { Image: 'busybox', HostConfig: { NetworkMode: 'container:' } }],
    ['/containers/create', { Image: 'busybox', HostConfig: { ExtraHosts: ['box'] } }],
    ['/containers/create', { Image: 'busybox', HostConfig: { Dns: ['not an address'] } }],
    ['/containers/create', { Image: 'busybox', HostConfig: { Links: ['nosuch:alias'] } }],
    ['/containers/create', { Image: 'busybox', Hostname: '-bad-' }],
    ['/containers/create', { Image: 'busybox', StopSignal: 'SIGNOPE' }],
    ['/containers/create', { Image: 'busybox', NetworkingConfig: { EndpointsConfig: [] } }],
    ['/containers/create', { Image: 'busybox', NetworkingConfig: { EndpointsConfig: { shop: null } } }],
    ['/containers/create?name=a%20b', { Image: 'busybox' }],
    ['/containers/create?name=x', { Image: 'busybox' }],
    ['/networks/shop/connect', { Container: 7 }],
    ['/networks/shop/connect', { Container: 'db', EndpointConfig: 'x' }],
    [
      '/networks/shop/connect',
      { Container: 'db', EndpointConfig: { IPAMConfig: { IPv4Address: '10.60.0.999' } } },
    ],
    [
      '/networks/shop/connect',
      { Container: 'db', EndpointConfig: { IPAMConfig: { IPv4Address: '10.99.0.1' } } },
    ],
    ['/networks/shop/connect', { Container: 'db', EndpointConfig: { Aliases: 'one' } }],
    ['/networks/shop/disconnect', { Container: 'web', Force: 'yes' }],
    ['/containers/db/exec', { Cmd: [] }],
    ['/containers/db/exec', { Cmd: 'ls' }],
    ['/containers/db/update', { RestartPolicy: { Name: 'sometimes' } }],
  ])('POST %s refuses %j with 400', async (path, body) => {
    const answer = await ask(host, 'POST', path, { body })
    expect([answer.status, answer.message]).toEqual([400, expect.stringMatching(/\S/)])
  })

  it('takes keys in any case, and does not mind ones it does not know', async () => {
    const made = await ask(host, 'POST', '/networks/create', {
      body: '{"name":"cased","Nosuch":{"x":1},"__proto__":{"Driver":"nosuch"},"constructor":5,"labels":{"__proto__":"x"}}',
      type: 'application/json; charset=utf-8',
    })
    expect(made.status).toBe(201)
    expect(await host.ok('network', 'rm', 'cased')).toBe('cased')
  })
})

describe('requests', () => {
  afterEach(expectUnchanged)

  it.each<readonly [method: string, path: string, status: number, message: RegExp]>([
    ['GET', '/nosuch', 404, /^page not found$/],
    ['GET', '/', 404, /^page not found$/],
    [
      'GET',
      '/v1.99/networks',
      400,
      /^client version 1\.99 is too new\. Maximum supported API version is 1\.51$/,
    ],
    ['GET', '/v1.51/nosuch', 404, /^page not found$/],
    ['PUT', '/networks', 405, /\S/],
    ['GET', '/networks/create', 404, /^network create not found$/],
    ['DELETE', '/containers/json', 404, /^No such container: json$/],
    ['GET', '/networks?filters=nonsense', 400, /^invalid filter/],
    ['GET', '/networks?filters=%7B%22nosuch%22%3A%5B%22x%22%5D%7D', 400, /^invalid filter 'nosuch'$/],
    ['GET', '/networks?filters=%7B%22dangling%22%3A%5B%22perhaps%22%5D%7D', 400, /invalid filter/],
    ['GET', '/networks?filters=%5B1%2C2%5D', 400, /^invalid filter/],
    ['GET', '/networks/shop?verbose=perhaps', 400, /\S/],
    ['GET', '/networks/nosuch', 404, /^network nosuch not found$/],
    ['GET', '/networks/shop?scope=swarm', 404, /^network shop not found$/],
    ['DELETE', '/networks/nosuch', 404, /^network nosuch not found$/],
    ['DELETE', '/networks/bridge', 403, /^bridge is a pre-defined network and cannot be removed$/],
    ['DELETE', '/networks/shop', 403, /has active endpoints/],
    [
      'GET',
      '/containers/json?filters=%7B%22status%22%3A%5B%22nosuch%22%5D%7D',
      400,
      /^invalid filter 'status=nosuch'$/,
    ],
    ['GET', '/containers/json?limit=many', 400, /\S/],
    ['GET', '/containers/nosuch/json', 404, /^No such container: nosuch$/],
    ['GET', '/containers/db/logs', 400, /^Bad parameters: you must choose at least one stream$/],
    ['GET', '/containers/db/logs?stdout=1&since=yesterday', 400, /\S/],
    ['POST', '/containers/db/resize?h=x&w=1', 400, /\S/],
    ['POST', '/containers/db/kill?signal=NOSUCH', 400, /^Invalid signal: NOSUCH$/],
    ['POST', '/containers/idle/kill', 409, /is not running$/],
    ['POST', '/containers/db/stop?t=soon', 400, /\S/],
    ['POST', '/containers/db/wait?condition=nosuch', 400, /^invalid condition: "nosuch"$/],
    [
      'POST',
      '/containers/db/rename?name=web',
      409,
      /^Conflict\. The container name "\/web" is already in use by container/,
    ],
    ['POST', '/containers/db/rename?name=', 400, /\S/],
    ['POST', '/containers/db/rename', 400, /\S/],
    ['POST', '/containers/db/start', 304, /^$/],
    ['POST', '/containers/idle/stop', 304, /^$/],
    ['POST', '/containers/idle/pause', 409, /is not running$/],
    ['DELETE', '/containers/db', 409, /^cannot remove container "\/db": container is running/],
    ['DELETE', '/containers/nosuch', 404, /^No such container: nosuch$/],
    ['GET', '/containers/idle/top', 409, /is not running$/],
    ['POST', '/exec/nosuch/start', 404, /^No such exec instance: nosuch$/],
    ['GET', '/exec/nosuch/json', 404, /^No such exec instance: nosuch$/],
    ['GET', '/images/nosuch/json', 404, /^No such image: nosuch:latest$/],
    ['DELETE', '/images/nosuch', 404, /^No such image: nosuch:latest$/],
    ['POST', '/images/busybox/tag?repo=UPPER', 400, /must be lowercase/],
    ['POST', '/images/create', 400, /\S/],
    ['POST', '/images/create?fromImage=UPPER', 400, /must be lowercase/],
    ['GET', '/events?since=yesterday', 400, /^failed to parse value as time or duration/],
    ['GET', '/events?since=20&until=10', 400, /cannot be after/],
    ['GET', '/events?filters=%7B%22nosuch%22%3A%5B%22x%22%5D%7D', 400, /^invalid filter 'nosuch'$/],
    ['GET', '/system/df?type=nosuch', 400, /^unknown object type: nosuch$/],
    ['GET', '/swarm', 503, /^This node is not a swarm manager/],
    ['POST', '/build', 501, /\S/],
    ['GET', '/plugins/nosuch/json', 404, /^plugin "nosuch" not found$/],
  ])('%s %s answers %i', async (method, path, status, message) => {
    const answer = await ask(host, method, path)
    expect([answer.status, answer.message]).toEqual([status, expect.stringMatching(message)])
  })

  it.each<readonly [what: string, bytes: string]>([
    ['rubbish', 'rubbish\r\n\r\n'],
    ['another protocol', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003'],
    ['a header without end', `GET /_ping HTTP/1.1\r\nX: ${'y'.repeat(200_000)}`],
    ['a length that is none', 'POST /networks/create HTTP/1.1\r\nHost: x\r\nContent-Length: many\r\n\r\n{}'],
    [
      'two lengths',
      'POST /networks/create HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
    ],
    ['a path that is no path', 'GET http://[::1/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
    ['escapes that are none', 'GET /containers/%zz/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
    [
      'escapes that are no text',
      'GET /containers/%ff%fe/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    ],
    ['a null byte', 'GET /containers/a%00b/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'],
    [
      'a path out of the house',
      'GET /containers/..%2f..%2fetc/json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n',
    ],
  ])('survives %s', async (_, bytes) => {
    const text = await sendBytes(host, Buffer.from(bytes, 'latin1'))
    expect(text).not.toMatch(/^HTTP\/1\.1 (2|5)/)
    expect((await ask(host, 'GET', '/_ping')).status).toBe(200)
  })

  it('survives clients that go away in the middle', async () => {
    await sendBytes(
      host,
      'POST /networks/create HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"Na',
      true,
    )
    await sendBytes(
      host,
      'POST /images/load HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n',
      true,
    )
    await sendBytes(host, 'GET /events HTTP/1.1\r\nHost: x\r\n\r\n', true)
    await sendBytes(
      host,
      'POST /containers/db/attach?stream=1&stdin=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n',
      true,
    )
    expect((await ask(host, 'GET', '/_ping')).status).toBe(200)
  })
})

describe('the command line', () => {
  afterEach(expectUnchanged)

  it.each<readonly [line: string, code: number, text: RegExp]>([
    // Images and commands
    ['run --rm 127.0.0.1:5999/nosuch:1 true', 125, /connection refused/],
    ['create --pull never nosuch:1', 1, /No such image: nosuch:1/],
    ['run --rm busybox nosuch', 127, /exec: "nosuch": executable file not found in \$PATH/],
    ['run --rm busybox /no/such', 127, /exec: "\/no\/such": stat \/no\/such: no such file or directory/],
    ['run --rm busybox /etc', 126, /exec: "\/etc": (is a directory|permission denied)/],
    ['run --rm -w /etc/passwd busybox true', 125, /not a directory/],
    [
      'run --rm -u nosuch busybox true',
      125,
      /unable to find user nosuch: no matching entries in passwd file/,
    ],
    ['exec db nosuch', 127, /exec: "nosuch": executable file not found in \$PATH/],
    ['exec db /etc', 126, /permission denied|is a directory/],
    ['exec idle true', 1, /container [0-9a-f]{64} is not running/],
    // Names
    [
      'run --rm --name web busybox true',
      125,
      /Conflict\. The container name "\/web" is already in use by container "[0-9a-f]{64}"/,
    ],
    ['network create shop', 1, /network with name shop already exists/],
    ['network create bridge', 1, /operation is not permitted on predefined bridge network/],
    ['rename db web', 1, /Conflict\. The container name "\/web" is already in use/],
    // Networks
    ['network create --subnet 10.60.0.0/16 over', 1, /Pool overlaps with other one on this address space/],
    ['network create --subnet 10.60.0.128/25 under', 1, /Pool overlaps with other one on this address space/],
    [
      'network create --subnet 172.17.0.0/24 default',
      1,
      /Pool overlaps with other one on this address space|operation is not permitted/,
    ],
    [
      'network create -o com.docker.network.bridge.name=docker0 twice',
      1,
      /conflicts with network|already exists|same bridge name/,
    ],
    [
      'network create -o com.docker.network.bridge.name=eth0 notbridge',
      1,
      /existing interface eth0 is not a bridge/,
    ],
    ['network create -o com.docker.network.bridge.name=much-too-long-for-linux long', 1, /\S/],
    ['network create -d nosuch x', 1, /plugin "nosuch" not found/],
    ['network create --ipam-driver nosuch x', 1, /"nosuch"/],
    ['network rm shop', 1, /has active endpoints \(name:"web" id:"[0-9a-f]{12}"\)/],
    ['network connect shop web', 1, /endpoint with name web already exists in network shop/],
    ['network connect shop nosuch', 1, /No such container: nosuch/],
    ['network connect nosuch db', 1, /network nosuch not found/],
    ['network disconnect shop db', 1, /container [0-9a-f]{64} is not connected to network shop/],
    [
      'network connect tiny db',
      1,
      /no available IPv4 addresses on this network's address pools: tiny \([0-9a-f]{64}\)/,
    ],
    [
      'run --rm --network tiny busybox true',
      125,
      /no available IPv4 addresses on this network's address pools: tiny/,
    ],
    ['network connect --ip 10.60.0.10 shop db', 1, /Address already in use/],
    ['network connect --ip 10.60.0.1 shop db', 1, /Address already in use/],
    ['network connect --ip 10.60.0.0 shop db', 1, /Address already in use/],
    ['network connect --ip 10.60.0.255 shop db', 1, /Address already in use/],
    [
      'run --rm --network shop --ip 10.60.0.10 busybox true',
      125,
      /failed to set up container networking: Address already in use/,
    ],
    [
      'network connect --ip 10.77.0.1 shop db',
      1,
      /no configured subnet or ip-range contain the IP address 10\.77\.0\.1/,
    ],
    [
      'network connect --driver-opt com.docker.network.endpoint.ifname=eth0 shop db',
      1,
      /error renaming interface to "eth0": file exists/,
    ],
    ['network connect --driver-opt com.docker.network.endpoint.ifname=a/b shop db', 1, /\S/],
    ['run --rm --network nosuch busybox true', 125, /network nosuch not found/],
    [
      'run --rm --network container:idle busybox true',
      125,
      /cannot join network namespace of a non running container/,
    ],
    ['run --rm --network container:nosuch busybox true', 125, /No such container: nosuch/],
    // Ports
    [
      'run --rm -p 8080:80 busybox true',
      125,
      /Bind for 0\.0\.0\.0:8080 failed: port is already allocated \(held by container web \([0-9a-f]{12}\)\)/,
    ],
    [
      'run --rm -p 127.0.0.1:8080:80/udp busybox true',
      125,
      /Bind for 127\.0\.0\.1:8080 failed: port is already allocated/,
    ],
    ['run --rm -p 9001:80 -p 8080:81 -p 9002:82 busybox true', 125, /port is already allocated/],
    ['run --rm -p 9001:80 -p 9001:81 busybox true', 125, /port is already allocated/],
    [
      'run --rm -p 7777:80 busybox true',
      125,
      /failed to bind host port 0\.0\.0\.0:7777\/tcp: address already in use \(held by pid \d+ \(node\)\)/,
    ],
    [
      'run --rm -p 7790:80 busybox true',
      125,
      /failed to bind host port 0\.0\.0\.0:7790\/tcp: address already in use \(held by pid \d+ \(node\)\)/,
    ],
    ['run --rm -p 9001-9003:80-82 -p 7777:90 busybox true', 125, /7777/],
    ['run --rm -p 10.99.99.99:9001:80 busybox true', 125, /cannot assign requested address/],
    ['run --rm -p 99999:80 busybox true', 125, /invalid hostPort: 99999|Invalid hostPort: 99999/i],
    ['run --rm -p 9001-9003:80-81 busybox true', 125, /Invalid ranges/i],
    // Options that exclude each other
    [
      'run --rm --network host --link web busybox true',
      125,
      /conflicting options: host type networking can't be used with links/,
    ],
    [
      'run --rm --network container:db -p 80 busybox true',
      125,
      /conflicting options: port publishing and the container type network mode/,
    ],
    [
      'run --rm --network container:db --expose 80 busybox true',
      125,
      /conflicting options: port exposing and the container type network mode/,
    ],
    [
      'run --rm --network container:db --hostname x busybox true',
      125,
      /conflicting options: hostname and the network mode/,
    ],
    [
      'run --rm --network container:db --dns 9.9.9.9 busybox true',
      125,
      /conflicting options: dns and the network mode/,
    ],
    [
      'run --rm --network container:db --add-host a:1.2.3.4 busybox true',
      125,
      /conflicting options: custom host-to-IP mapping and the network mode/,
    ],
    [
      'run --rm --network container:db --link web busybox true',
      125,
      /conflicting options: container type network can't be used with links/,
    ],
    [
      'run --rm --network container:db --mac-address 02:42:00:00:00:01 busybox true',
      125,
      /conflicting options: mac-address and the network mode/,
    ],
    [
      'run --rm --network host --network shop busybox true',
      125,
      /cannot attach both user-defined and non-user-defined network-modes/,
    ],
    [
      'run --rm --network none --network shop busybox true',
      125,
      /cannot attach both user-defined and non-user-defined network-modes/,
    ],
    [
      'run --rm --network shop --network shop busybox true',
      125,
      /network "shop" is specified multiple times/,
    ],
    [
      'run --rm --network host --ip 10.1.1.1 busybox true',
      125,
      /user.specified IP address is supported on user.defined networks only/,
    ],
    [
      'run --rm --network none --network-alias x busybox true',
      125,
      /network-scoped aliases? (is|are) only supported for user-defined networks|network-scoped alias is supported only for containers in user defined networks/,
    ],
    [
      'run --rm --ip 172.17.0.77 busybox true',
      125,
      /user.specified IP address is supported on user.defined networks only/,
    ],
    [
      'run --rm --restart always busybox true',
      125,
      /conflicting options: cannot specify both --restart and --rm/,
    ],
    ['network connect host db', 1, /cannot connect container to host network/],
    ['network connect none db', 1, /private \(none\) mode/],
  ])('docker %s', async (line, code, text) => {
    const answer = await host.docker(...words(line))
    // What an exec has to say comes the way of its output.
    expect([answer.stdout + answer.stderr, answer.code]).toEqual([expect.stringMatching(text), code])
  })

  it.each(['nosuch', '/no/such', '/etc'])('linkspan run and exec of %s end as docker’s do', async command => {
    for (const line of [`run --rm busybox ${command}`, `exec db ${command}`]) {
      const docker = await host.docker(...words(line))
      expect((await host.linkspan(...words(line))).code).toBe(docker.code)
    }
  })
})

describe('a start that fails', () => {
  afterEach(expectUnchanged)

  it('leaves the container created, with the reason, and starts once the reason is gone', async () => {
    const blocker = await host.ok(...words('run -d --name blocker -p 9100:80 busybox sleep 3600'))
    const id = await host.ok(...words('create --name late -p 9100:80 busybox sleep 3600'))
    const { stderr, code } = await host.docker('start', 'late')
    expect(code).toBe(1)
    expect(stderr).toContain('port is already allocated (held by container blocker (')
    expect(await host.ok('inspect', '-f', '{{.State.Status}} {{.State.Error}}', id)).toContain(
      'created failed to set up container networking: driver failed programming external connectivity',
    )
    await host.ok('rm', '-f', blocker)
    await host.ok('start', 'late')
    expect(await host.ok('inspect', '-f', '{{.State.Status}}{{.State.Error}}', id)).toBe('running')
    await host.ok('rm', '-f', 'late')
  })

  it('gives its address back: the next container has the lowest free one', async () => {
    const address = async (name: string): Promise<string> =>
      host.ok('inspect', '-f', '{{.NetworkSettings.Networks.shop.IPAddress}}', name)
    for (let round = 0; round < 3; round++) {
      expect((await host.docker(...words('run --rm --network shop -p 7777:80 busybox true'))).code).toBe(125)
      expect((await host.docker(...words('run --rm --network shop busybox nosuch'))).code).toBe(127)
    }
    await host.ok(...words('run -d --name next --network shop busybox sleep 3600'))
    expect(await address('next')).toBe('10.60.0.2')
    await host.ok('rm', '-f', 'next')
  })

  it('of a container on several networks undoes all of them', async () => {
    await host.ok(...words('create --name multi --network shop busybox sleep 3600'))
    await host.ok(...words('network connect automatic multi'))
    await host.ok(...words('network connect tiny multi'))
    const { stderr, code } = await host.docker('start', 'multi')
    expect(code).toBe(1)
    expect(stderr).toContain("no available IPv4 addresses on this network's address pools: tiny")
    await host.ok(...words('network disconnect tiny multi'))
    await host.ok('start', 'multi')
    await host.ok('rm', '-f', 'multi')
  })

  it('for want of a network says which, and rm of a network that only stopped containers use is allowed', async () => {
    await host.ok(...words('network create brief'))
    await host.ok(...words('create --name orphan --network brief busybox sleep 3600'))
    await host.ok(...words('network rm brief'))
    const { stderr } = await host.docker('start', 'orphan')
    expect(stderr).toContain('failed to set up container networking: network brief not found')
    // Better than docker, which keeps asking for the old id: a network of that name is as good.
    await host.ok(...words('network create brief'))
    await host.ok('start', 'orphan')
    await host.ok('rm', '-f', 'orphan')
    await host.ok(...words('network rm brief'))
  })
})

describe('free choices', () => {
  afterEach(expectUnchanged)

  const portOf = async (name: string): Promise<number> =>
    Number((await host.ok('port', name, '80')).split('\n')[0]?.split(':').at(-1))

  it('of a port go around what foreign programs hold, silently', async () => {
    await host.ok(...words('run -d --name first -p 80 busybox sleep 3600'))
    const first = await portOf('first')
    const held = [1, 2, 3].map(more => first + more)
    const holder = host.spawn(process.execPath, [
      '-e',
      `let left = ${held.length}
       for (const port of ${JSON.stringify(held)})
         require('net').createServer().listen(port, () => { if (--left === 0) console.log('listening') })`,
    ])
    for (let attempt = 0; attempt < 200 && !holder.output.includes('listening'); attempt++) {
      await host.shell('sleep 0.05')
    }
    const { stderr, code } = await host.docker(...words('run -d --name second -p 80 busybox sleep 3600'))
    expect([stderr, code]).toEqual(['', 0])
    const second = await portOf('second')
    expect(second).toBeGreaterThan(0)
    expect([first, ...held]).not.toContain(second)
    await host.ok('rm', '-f', 'first', 'second')
    holder.kill()
  })

  it('within a range go around what is taken', async () => {
    await host.ok(...words('run -d --name ranged -p 7777-7779:80 busybox sleep 3600'))
    expect(await portOf('ranged')).toBe(7778)
    await host.ok(...words('run -d --name ranged2 -p 7777-7779:80 busybox sleep 3600'))
    expect(await portOf('ranged2')).toBe(7779)
    expect((await host.docker(...words('run --rm -p 7777-7779:80 busybox true'))).code).toBe(125)
    await host.ok('rm', '-f', 'ranged', 'ranged2')
  })

  it('the other protocol of a port is free', async () => {
    await host.ok(...words('run -d --name udp -p 7777:80/udp busybox sleep 3600'))
    expect(await host.ok('port', 'udp')).toContain('80/udp -> 0.0.0.0:7777')
    await host.ok('rm', '-f', 'udp')
  })
})

describe('prefixes of ids', () => {
  afterEach(expectUnchanged)

  it('that several networks or containers have are refused as ambiguous', async () => {
    // Sixteen digits: among seventeen ids two begin alike.
    const made = async (
      path: (index: number) => string,
      body: (index: number) => unknown,
    ): Promise<string[]> =>
      Promise.all(
        Array.from({ length: 17 }, async (_, index) => {
          const { text, status } = await ask(host, 'POST', path(index), { body: body(index) })
          expect([status, text]).toEqual([201, expect.stringMatching(/"Id":"[0-9a-f]{64}"/)])
          return (JSON.parse(text) as { Id: string }).Id
        }),
      )
    const shared = (ids: readonly string[]): string =>
      ids.map(id => id.slice(0, 1)).find((digit, at, all) => all.indexOf(digit) !== at) ?? ''
    const networks = await made(
      () => '/networks/create',
      index => ({ Name: `net-${index}`, IPAM: { Config: [{ Subnet: `10.90.${index}.0/24` }] } }),
    )
    const network = shared(networks)
    for (const [method, path] of [
      ['GET', `/networks/${network}`],
      ['DELETE', `/networks/${network}`],
    ] as const) {
      const answer = await ask(host, method, path)
      expect([answer.status, answer.message]).toEqual([
        400,
        expect.stringMatching(
          new RegExp(`^network ${network} is ambiguous \\(\\d+ matches found based on ID prefix\\)$`),
        ),
      ])
    }
    const connect = await ask(host, 'POST', `/networks/${network}/connect`, { body: { Container: 'db' } })
    expect(connect.status).toBe(400)
    const containers = await made(
      index => `/containers/create?name=many-${index}`,
      () => ({ Image: 'busybox' }),
    )
    const container = shared(containers)
    for (const [method, path] of [
      ['GET', `/containers/${container}/json`],
      ['POST', `/containers/${container}/start`],
      ['DELETE', `/containers/${container}`],
    ] as const) {
      const answer = await ask(host, method, path)
      expect([answer.status, answer.message]).toEqual([
        400,
        `multiple IDs found with provided prefix: ${container}`,
      ])
    }
    for (const id of containers)
      expect((await ask(host, 'DELETE', `/containers/${id.slice(0, 12)}`)).status).toBe(204)
    for (const id of networks)
      expect((await ask(host, 'DELETE', `/networks/${id.slice(0, 12)}`)).status).toBe(204)
  })
})

describe('a crowd', () => {
  afterEach(expectUnchanged)

  it('of thirty containers started and removed by several clients at once leaves nothing', async () => {
    const names = Array.from({ length: 30 }, (_, index) => `crowd-${index}`)
    const network = (index: number): string => ['bridge', 'shop', 'automatic'][index % 3] ?? ''
    const started = await Promise.all(
      names.map((name, index) => {
        const line = words(`run -d --name ${name} --network ${network(index)} -p 80 busybox sleep 3600`)
        return index % 5 === 0 ? host.linkspan(...line) : host.docker(...line)
      }),
    )
    expect(started.map(({ stderr, code }) => `${code} ${stderr}`)).toEqual(names.map(() => '0 '))
    const rows = await host.ok(
      'inspect',
      '-f',
      '{{.Id}} {{range .NetworkSettings.Networks}}{{.IPAddress}} {{.MacAddress}}{{end}} {{json .NetworkSettings.Ports}}',
      ...names,
    )
    const all = rows.split('\n').map(row => row.split(' '))
    for (const column of [0, 1, 2, 3]) expect(new Set(all.map(row => row[column])).size).toBe(names.length)
    const pings = await Promise.all(
      names
        .slice(0, 6)
        .map((name, index) =>
          host.docker('exec', name, 'ping', '-c', '1', '-W', '2', all[index + 3]?.[1] ?? ''),
        ),
    )
    expect(pings.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0])
    // Everybody removes everything: who comes second is told that it is gone, or being removed.
    const removed = await Promise.all(
      [...names, ...names.toReversed()].map(name => host.docker('rm', '-f', name)),
    )
    for (const { code, stderr } of removed) {
      expect(stderr).toMatch(/^$|No such container|is already in progress/)
      expect(code).toBeLessThanOrEqual(1)
    }
    expect(await host.settlesTo(hostBefore)).toBe(hostBefore)
    const ids = all.map(row => row[0] ?? '')
    const controllers = readdirSync('/sys/fs/cgroup').map(name => `/sys/fs/cgroup/${name}/linkspan`)
    const left = [...controllers, '/sys/fs/cgroup/linkspan']
      .filter(path => existsSync(path))
      .flatMap(path => readdirSync(path))
      .filter(name => ids.some(id => name.includes(id)))
    expect(left).toEqual([])
  })

  it('of commands executed at once: each has its own output and exit code', async () => {
    const numbers = Array.from({ length: 60 }, (_, index) => index)
    const results = await Promise.all(
      numbers.map(number =>
        host.docker(
          'exec',
          ['db', 'web', 'holder'][number % 3] ?? '',
          'sh',
          '-c',
          `echo ${number}; exit ${number}`,
        ),
      ),
    )
    expect(results.map(({ stdout, code }) => `${stdout.trim()} ${code}`)).toEqual(
      numbers.map(number => `${number} ${number}`),
    )
  })

  it('of networks made and removed at once leaves nothing', async () => {
    const lines = Array.from({ length: 20 }, (_, index) => `many-${index}`)
    const made = await Promise.all(lines.map(name => host.docker('network', 'create', name)))
    expect(made.map(({ stderr }) => stderr)).toEqual(lines.map(() => ''))
    const subnets = await host.ok(
      'network',
      'inspect',
      '-f',
      '{{range .IPAM.Config}}{{.Subnet}}{{end}}',
      ...lines,
    )
    expect(new Set(subnets.split('\n')).size).toBe(lines.length)
    const twice = await Promise.all(
      [...lines, ...lines].map(name => ask(host, 'DELETE', `/networks/${name}`)),
    )
    expect(twice.filter(({ status }) => status === 204)).toHaveLength(lines.length)
    expect(twice.filter(({ status }) => status === 404)).toHaveLength(lines.length)
  })

  it('that wants one name: one gets it', async () => {
    const answers = await Promise.all(
      Array.from({ length: 8 }, () =>
        ask(host, 'POST', '/containers/create?name=only', { body: { Image: 'busybox' } }),
      ),
    )
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      201, 409, 409, 409, 409, 409, 409, 409,
    ])
    await host.ok('rm', 'only')
    const networks = await Promise.all(
      Array.from({ length: 8 }, () => ask(host, 'POST', '/networks/create', { body: { Name: 'only' } })),
    )
    expect(networks.map(({ status }) => status).sort((a, b) => a - b)).toEqual([
      201, 409, 409, 409, 409, 409, 409, 409,
    ])
    await host.ok('network', 'rm', 'only')
  })

  it('that wants one address or one port: one gets it', async () => {
    const lines = Array.from({ length: 6 }, (_, index) => `one-${index}`)
    const started = await Promise.all(
      lines.map(name =>
        host.docker(
          ...words(`run -d --name ${name} --network shop --ip 10.60.0.77 -p 9300:80 busybox sleep 3600`),
        ),
      ),
    )
    expect(started.map(({ code }) => code).sort((a, b) => a - b)).toEqual([0, 125, 125, 125, 125, 125])
    for (const { stderr } of started)
      expect(stderr).toMatch(/^$|Address already in use|port is already allocated/)
    await host.ok('rm', '-f', ...lines)
  })
})

it('nothing of all this was an internal error', () => {
  expect(host.log()).not.toMatch(/"level":(50|60)|uncaught|unhandled/i)
})
