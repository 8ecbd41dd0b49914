/** A real registry (Debian's docker-registry) on the loopback of a test's host, filled with skopeo. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TestHost } from './host.ts'
import { writeArchive, type ImageParts } from './images.ts'

export interface Registry {
  /** `127.0.0.1:5000` */
  readonly address: string
  /** Pushes an image under `name:tag` of this registry; gives the digest of its manifest. */
  push(name: string, parts: Omit<ImageParts, 'tags'>): Promise<string>
  stop(): void
}

/** Starts it and waits until it answers. Each test host has a loopback of its own: the port is always free. */
export async function startRegistry(host: TestHost, port = 5000): Promise<Registry> {
  const directory = join(host.directory, 'registry')
  const address = `127.0.0.1:${port}`
  mkdirSync(directory, { recursive: true })
  const config = join(directory, 'config.yml')
  writeFileSync(
    config,
    `version: 0.1
log: { level: warn }
storage: { filesystem: { rootdirectory: ${join(directory, 'data')} } }
http: { addr: "${address}" }
`,
  )
  const registry = host.spawn('docker-registry', ['serve', config])
  for (let attempt = 0; ; attempt++) {
    if ((await host.shell(`curl -sf -m 2 http://${address}/v2/`)).code === 0) break
    if (attempt === 100) throw new Error(`the registry does not answer: ${registry.output}`)
    await sleep(50)
  }
  return {
    address,
    push: async (name, parts) => {
      const archive = await writeArchive(join(directory, 'pushed.tar'), { ...parts, tags: ['pushed:1'] })
      const digestFile = join(directory, 'digest')
      const { code, stderr, stdout } = await host.shell(
        `skopeo --insecure-policy copy -q --dest-tls-verify=false --digestfile ${digestFile} ` +
          `docker-archive:${archive} docker://${address}/${name} && cat ${digestFile}`,
      )
      if (code !== 0) throw new Error(`pushing ${name} failed: ${stderr}`)
      return stdout.trim()
    },
    stop: () => registry.kill(),
  }
}
