/** Images: from a registry, from archives, by all their names. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { oldDocker, TestHost } from './support/host.ts'
import { busyboxLayer, layer, writeArchive } from './support/images.ts'
import { startRegistry, type Registry } from './support/registry.ts'

let host: TestHost
let registry: Registry
let digest = ''
let newerDigest = ''

/** What the images in the registry are made of: busybox, and a file that says which one it is. */
async function parts(which: string) {
  return { layers: [await busyboxLayer(), await layer({ 'etc/which': which })] }
}

beforeAll(async () => {
  host = await TestHost.open()
  registry = await startRegistry(host)
  digest = await registry.push('team/box:1', await parts('one'))
  newerDigest = await registry.push('team/box:2', await parts('two'))
})
afterAll(async () => {
  registry?.stop()
  await host?.close()
})

const name = (rest: string): string => `${registry.address}/${rest}`
const which = (image: string): Promise<string> => host.ok('run', '--rm', image, 'cat', '/etc/which')
const lines = (text: string): string[] => text.trimEnd().split('\n')

describe('docker pull', () => {
  it('by tag tells what it does, and the image runs', async () => {
    const told = lines(await host.ok('pull', name('team/box:1')))
    expect(told[0]).toBe('1: Pulling from team/box')
    for (const step of ['Pulling fs layer', 'Download complete', 'Pull complete']) {
      expect(
        told.filter(line => new RegExp(`^[0-9a-f]{12}: ${step}$`).test(line)),
        step,
      ).toHaveLength(2)
    }
    expect(told.slice(-3)).toEqual([
      `Digest: ${digest}`,
      `Status: Downloaded newer image for ${name('team/box:1')}`,
      name('team/box:1'),
    ])
    expect(await which(name('team/box:1'))).toBe('one')
    expect(await host.ok('images', '--digests', '--format', '{{.Digest}}', name('team/box'))).toBe(digest)
  })

  it('a second time downloads nothing', async () => {
    expect(lines(await host.ok('pull', name('team/box:1')))).toEqual([
      '1: Pulling from team/box',
      `Digest: ${digest}`,
      `Status: Image is up to date for ${name('team/box:1')}`,
      name('team/box:1'),
    ])
  })

  it('by digest gives exactly that, and no tag', async () => {
    expect(lines(await host.ok('pull', name(`team/box@${newerDigest}`)))[0]).toBe(
      `${name(`team/box@${newerDigest}`)}: Pulling from team/box`,
    )
    expect(await which(name(`team/box@${newerDigest}`))).toBe('two')
    const tags = await host.ok('images', '--format', '{{.Tag}}', name('team/box'))
    expect(lines(tags).sort()).toEqual(['1', '<none>'])
  })

  it('-q gives the name only', async () => {
    expect(await host.ok('pull', '-q', name('team/box:2'))).toBe(name('team/box:2'))
  })

  it('moves a tag that has moved', async () => {
    await registry.push('team/moving:1', await parts('before'))
    await host.ok('pull', name('team/moving:1'))
    await registry.push('team/moving:1', await parts('after'))
    expect(await host.ok('pull', name('team/moving:1'))).toContain('Downloaded newer image')
    expect(await which(name('team/moving:1'))).toBe('after')
    // What it was before keeps its digest.
    const tags = await host.ok('images', '--format', '{{.Tag}}', name('team/moving'))
    expect(lines(tags).sort()).toEqual(['1', '<none>'])
  })

  it.each([
    [
      'a tag that is not there',
      'team/box:nosuch',
      /^Error response from daemon: manifest for \S+\/team\/box:nosuch not found: manifest unknown: manifest unknown\n$/,
    ],
    [
      'a repository that is not there',
      'nosuch/box:1',
      /^Error response from daemon: manifest for \S+\/nosuch\/box:1 not found: manifest unknown/,
    ],
    [
      'a digest that is not there',
      `team/box@sha256:${'0'.repeat(64)}`,
      /^Error response from daemon: manifest for \S+@sha256:0{64} not found: manifest unknown/,
    ],
  ])('refuses %s and leaves nothing', async (_, rest, message) => {
    const before = await host.settled()
    const { stdout, stderr, code } = await host.docker('pull', name(rest))
    expect([stdout, code]).toEqual(['', 1])
    expect(stderr).toMatch(message)
    expect(await host.settlesTo(before)).toBe(before)
  })

  it('says that a registry does not answer, and leaves nothing', async () => {
    const before = await host.settled()
    const { stderr, code } = await host.docker('pull', '127.0.0.1:5999/team/box:1')
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /^Error response from daemon: Get "https?:\/\/127\.0\.0\.1:5999\/v2\/": dial tcp 127\.0\.0\.1:5999: connect: connection refused\n$/,
    )
    expect(await host.settlesTo(before)).toBe(before)
  })

  it('of the same image by several clients downloads it once', async () => {
    const before = await host.settled()
    await registry.push('team/many:1', await parts('many'))
    const told = await Promise.all(Array.from({ length: 4 }, () => host.ok('pull', name('team/many:1'))))
    expect(told.filter(text => text.includes('Downloaded newer image'))).toHaveLength(1)
    expect(told.filter(text => text.includes('Image is up to date'))).toHaveLength(3)
    await host.ok('rmi', name('team/many:1'))
    expect(await host.settlesTo(before)).toBe(before)
  })
})

describe('docker run', () => {
  it('pulls an image that is not there', async () => {
    await registry.push('team/fresh:1', await parts('fresh'))
    const { stdout, stderr, code } = await host.docker(
      'run',
      '--rm',
      name('team/fresh:1'),
      'cat',
      '/etc/which',
    )
    expect([stdout, code]).toEqual(['fresh', 0])
    expect(lines(stderr)[0]).toBe(`Unable to find image '${name('team/fresh:1')}' locally`)
    expect(lines(stderr).at(-1)).toBe(`Status: Downloaded newer image for ${name('team/fresh:1')}`)
  })

  it('does not pull with --pull never, and always with --pull always', async () => {
    await host.ok('rmi', name('team/fresh:1'))
    const never = await host.docker('run', '--rm', '--pull', 'never', name('team/fresh:1'), 'true')
    expect(never.code).toBe(125)
    expect(never.stderr).toContain(`No such image: ${name('team/fresh:1')}`)
    await host.ok('pull', '-q', name('team/fresh:1'))
    const always = await host.docker('run', '--rm', '--pull', 'always', name('team/fresh:1'), 'true')
    expect(always.stderr).toContain('Image is up to date')
  })

  it('of an image that is nowhere fails with 125 and leaves nothing', async () => {
    const before = await host.settled()
    const { stderr, code } = await host.docker('run', '--rm', name('team/nowhere:1'), 'true')
    expect(code).toBe(125)
    expect(stderr).toContain(`manifest for ${name('team/nowhere:1')} not found: manifest unknown`)
    expect(await host.settlesTo(before)).toBe(before)
  })
})

describe('docker rmi', () => {
  it('takes a name away, the digests of a repository with its last tag, the image with its last name', async () => {
    await registry.push('team/rm:1', await parts('rm'))
    await host.ok('pull', '-q', name('team/rm:1'))
    await host.ok('tag', name('team/rm:1'), name('team/rm:2'))
    await host.ok('tag', name('team/rm:1'), 'other')
    const images = async (): Promise<string> => (await host.docker('images', '-q', name('team/rm'))).stdout
    expect(await host.ok('rmi', name('team/rm:1'))).toBe(`Untagged: ${name('team/rm:1')}`)
    expect(lines(await host.ok('rmi', name('team/rm:2')))).toEqual([
      `Untagged: ${name('team/rm:2')}`,
      expect.stringMatching(/^Untagged: \S+\/team\/rm@sha256:[0-9a-f]{64}$/),
    ])
    expect(await images()).toBe('')
    expect(lines(await host.ok('rmi', 'other'))).toEqual([
      'Untagged: other:latest',
      expect.stringMatching(/^Deleted: sha256:[0-9a-f]{64}$/),
    ])
  })

  it('by id removes an image with one name, and one with several only by force', async () => {
    await registry.push('team/id:1', await parts('id'))
    await host.ok('pull', '-q', name('team/id:1'))
    const id = await host.ok('images', '-q', name('team/id:1'))
    await host.ok('tag', id, 'second')
    const { stderr, code } = await host.docker('rmi', id)
    expect([stderr, code]).toEqual([
      `Error response from daemon: conflict: unable to delete ${id} (must be forced) - image is referenced in multiple repositories\n`,
      1,
    ])
    expect(lines(await host.ok('rmi', '-f', id)).map(line => line.split(' ')[0])).toEqual([
      'Untagged:',
      'Untagged:',
      'Untagged:',
      'Deleted:',
    ])
  })

  it('does not remove what a container uses; a stopped one gives way to force', async () => {
    await registry.push('team/used:1', await parts('used'))
    const image = name('team/used:1')
    await host.ok('pull', '-q', image)
    const id = await host.ok('images', '-q', image)
    await host.ok('run', '-d', '--name', 'user', image, 'sleep', '1000')
    const short = (await host.ok('ps', '-q', '--filter', 'name=user')).trim()
    expect((await host.docker('rmi', image)).stderr).toBe(
      `Error response from daemon: conflict: unable to remove repository reference "${image}" (must force) - container ${short} is using its referenced image ${id}\n`,
    )
    expect((await host.docker('rmi', '-f', id)).stderr).toBe(
      `Error response from daemon: conflict: unable to delete ${id} (cannot be forced) - image is being used by running container ${short}\n`,
    )
    await host.ok('kill', 'user')
    await host.ok('wait', 'user')
    expect((await host.docker('rmi', id)).stderr).toBe(
      `Error response from daemon: conflict: unable to delete ${id} (must be forced) - image is being used by stopped container ${short}\n`,
    )
    expect(await host.ok('rmi', '-f', id)).toContain(`Untagged: ${image}`)
    // The container still has its files.
    await host.ok('start', 'user')
    expect(await host.ok('exec', 'user', 'cat', '/etc/which')).toBe('used')
    await host.ok('rm', '-f', 'user')
  })

  it.skipIf(oldDocker)('says what is not there', async () => {
    const { stderr, code } = await host.docker('rmi', 'nosuch', 'busybox:nosuch')
    expect([stderr, code]).toEqual([
      'Error response from daemon: No such image: nosuch:latest\nError response from daemon: No such image: busybox:nosuch\n',
      1,
    ])
    expect((await host.docker('rmi', '-f', 'nosuch')).stderr).toContain('No such image: nosuch:latest')
  })

  it('prune takes images without a name', async () => {
    await registry.push('team/prune:1', await parts('lost'))
    await host.ok('pull', '-q', name('team/prune:1'))
    const id = await host.ok('images', '-q', '--no-trunc', name('team/prune:1'))
    await host.ok('tag', 'busybox', name('team/prune:1'))
    expect(await host.ok('images', '-q', '--no-trunc', '--filter', 'dangling=true')).toContain(id)
    const told = await host.ok('image', 'prune', '-f')
    expect(told).toContain(`deleted: ${id}`)
    expect(told).toMatch(/Total reclaimed space: \d/)
    await host.ok('rmi', name('team/prune:1'))
  })
})

describe('names', () => {
  it('images lists by repository, tag, id; inspect and history tell more', async () => {
    const archive = await writeArchive(`${host.directory}/named.tar`, {
      ...(await parts('named')),
      tags: ['zebra:1', 'alpha/beta:2'],
      config: { Cmd: ['sh'], Env: ['PATH=/bin'], Labels: { colour: 'red' }, ExposedPorts: { '80/tcp': {} } },
    })
    await host.ok('load', '-i', archive)
    const id = await host.ok('images', '-q', '--no-trunc', 'zebra:1')
    const listed = lines(await host.ok('images', '--filter', 'label=colour=red'))
    const [heading, ...rows] = listed.map(line => line.split(/ {2,}/))
    expect(heading).toEqual(['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE'])
    const rest = [id.slice(7, 19), expect.stringMatching(/ago$/), expect.stringMatching(/^[\d.]+MB$/)]
    // The docker command line shows the repositories of one image in no order.
    expect(rows.sort((a, b) => String(a).localeCompare(String(b)))).toEqual([
      ['alpha/beta', '2', ...rest],
      ['zebra', '1', ...rest],
    ])
    expect(
      await host.ok('inspect', '-f', '{{json .RepoTags}} {{.Os}} {{len .RootFS.Layers}}', 'zebra:1'),
    ).toBe('["alpha/beta:2","zebra:1"] linux 2')
    expect(await host.ok('inspect', '-f', '{{.Id}}', id.slice(7, 15))).toBe(id)
    expect(lines(await host.ok('history', '--format', '{{.ID}} {{.CreatedBy}}', 'zebra:1'))).toEqual([
      `${id.slice(7, 19)} step 2`,
      '<missing> step 1',
    ])
    await host.ok('rmi', 'zebra:1', 'alpha/beta:2')
  })

  it('tag moves a name; what is no name is refused', async () => {
    await host.ok('tag', 'busybox', 'moved')
    await host.ok('tag', name('team/box:1'), 'moved')
    expect(await which('moved')).toBe('one')
    expect((await host.docker('tag', 'nosuch', 'x:1')).stderr).toContain('No such image: nosuch:latest')
    await host.ok('rmi', 'moved')
  })

  it('import takes a tree with changes, and a message', async () => {
    const imported = await host.shell(
      `scripts/busybox-image | docker import -m 'by hand' --change 'CMD ["cat", "/etc/passwd"]' --change 'ENV A=b' --change 'EXPOSE 8080' - mine/tree:1`,
    )
    expect(imported.stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/)
    expect(await host.ok('run', '--rm', 'mine/tree:1')).toContain('root:x:0:0')
    expect(
      await host.ok(
        'inspect',
        '-f',
        '{{json .Config.Env}} {{json .Config.ExposedPorts}} {{.Comment}}',
        'mine/tree:1',
      ),
    ).toBe('["A=b"] {"8080/tcp":{}} by hand')
    await host.ok('rmi', 'mine/tree:1')
  })

  it('leaves nothing of images that are gone', async () => {
    const all = lines(await host.ok('images', '-q', '--no-trunc')).filter(
      (id, at, ids) => ids.indexOf(id) === at,
    )
    const { stdout } = await host.shell(`ls ${host.directory}/data/images`)
    expect(lines(stdout).sort()).toEqual(all.map(id => id.slice(7)).sort())
  })
})
