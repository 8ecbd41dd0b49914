/** `info`: the engine at a glance. */
import { defineCommand } from '../command.ts'
import { text } from '../flags.ts'
import { prepareObject } from '../format.ts'
import { humanBinarySize } from '../units.ts'
import { version as clientVersion } from '../../version.ts'

interface Info {
  readonly ID: string
  readonly Name: string
  readonly Containers: number
  readonly ContainersRunning: number
  readonly ContainersPaused: number
  readonly ContainersStopped: number
  readonly Images: number
  readonly ServerVersion: string
  readonly Driver: string
  readonly LoggingDriver: string
  readonly CgroupDriver: string
  readonly CgroupVersion?: string
  readonly Plugins?: { readonly Network?: readonly string[] | null }
  readonly DefaultRuntime: string
  readonly Runtimes?: Readonly<Record<string, unknown>> | null
  readonly FirewallBackend?: {
    readonly Driver: string
    readonly Info?: readonly (readonly [string, string])[]
  }
  readonly KernelVersion: string
  readonly OperatingSystem: string
  readonly OSType: string
  readonly Architecture: string
  readonly NCPU: number
  readonly MemTotal: number
  readonly DockerRootDir: string
  readonly Debug: boolean
  readonly Labels?: readonly string[] | null
  readonly LiveRestoreEnabled?: boolean
  readonly DefaultAddressPools?: readonly { readonly Base: string; readonly Size: number }[] | null
  readonly RegistryConfig?: {
    readonly InsecureRegistryCIDRs?: readonly string[] | null
    readonly Mirrors?: readonly string[] | null
  }
  readonly Warnings?: readonly string[] | null
}

function lines(info: Info): string[] {
  const out = [
    `Containers: ${info.Containers}`,
    ` Running: ${info.ContainersRunning}`,
    ` Paused: ${info.ContainersPaused}`,
    ` Stopped: ${info.ContainersStopped}`,
    `Images: ${info.Images}`,
    `Server Version: ${info.ServerVersion}`,
    `Storage Driver: ${info.Driver}`,
    `Logging Driver: ${info.LoggingDriver}`,
    `Cgroup Driver: ${info.CgroupDriver}`,
  ]
  if (info.CgroupVersion !== undefined) out.push(`Cgroup Version: ${info.CgroupVersion}`)
  out.push('Plugins:', ` Network: ${(info.Plugins?.Network ?? []).join(' ')}`)
  out.push(
    `Runtimes: ${Object.keys(info.Runtimes ?? {}).join(' ')}`,
    `Default Runtime: ${info.DefaultRuntime}`,
  )
  if (info.FirewallBackend !== undefined) {
    out.push(`Firewall Backend: ${info.FirewallBackend.Driver}`)
    for (const [key, value] of info.FirewallBackend.Info ?? []) out.push(` ${key}: ${value}`)
  }
  out.push(
    `Kernel Version: ${info.KernelVersion}`,
    `Operating System: ${info.OperatingSystem}`,
    `OSType: ${info.OSType}`,
    `Architecture: ${info.Architecture}`,
    `CPUs: ${info.NCPU}`,
    `Total Memory: ${humanBinarySize(info.MemTotal)}`,
    `Name: ${info.Name}`,
    `ID: ${info.ID}`,
    `Docker Root Dir: ${info.DockerRootDir}`,
    `Debug Mode: ${info.Debug}`,
  )
  if ((info.Labels ?? []).length > 0) out.push('Labels:', ...(info.Labels ?? []).map(label => ` ${label}`))
  const insecure = info.RegistryConfig?.InsecureRegistryCIDRs ?? []
  if (insecure.length > 0) out.push('Insecure Registries:', ...insecure.map(registry => ` ${registry}`))
  const mirrors = info.RegistryConfig?.Mirrors ?? []
  if (mirrors.length > 0) out.push('Registry Mirrors:', ...mirrors.map(mirror => ` ${mirror}`))
  out.push(`Live Restore Enabled: ${info.LiveRestoreEnabled ?? false}`)
  const pools = info.DefaultAddressPools ?? []
  if (pools.length > 0) {
    out.push(
      'Default Address Pools:',
      ...pools.map(({ Base: base, Size: size }) => ` Base: ${base}, Size: ${size}`),
    )
  }
  return out
}

export const info = defineCommand({
  usage: '[OPTIONS]',
  flags: { format: text("'json' or a Go template", { short: 'f' }) },
  minimum: 0,
  maximum: 0,
  run: async (context, values) => {
    const render = prepareObject(values.format)
    const answer = await context.client.json<Info>('GET', '/info')
    if (values.format !== '') {
      context.stdout.write(render(answer))
      return 0
    }
    const body = lines(answer)
      .map(line => ` ${line}\n`)
      .join('')
    context.stdout.write(
      `Client: Linkspan\n Version:    ${clientVersion}\n Debug Mode: ${context.debug}\n\nServer:\n${body}`,
    )
    for (const warning of answer.Warnings ?? []) context.warn(warning)
    return 0
  },
})
