/** `lab up|exec|down` */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { defineCommand } from '../command.ts'
import { Failure } from '../failure.ts'
import { boolean, text } from '../flags.ts'

const defaultDirectory = '/run/linkspan-lab'

const directory = text(`Where the lab is (default ${defaultDirectory}); several may exist`, {
  placeholder: 'path',
  initial: defaultDirectory,
})

export const up = defineCommand({
  usage: '[OPTIONS]',
  flags: { directory, ipv6: boolean('Give it IPv6 addresses, too') },
  minimum: 0,
  maximum: 0,
  examples: [
    [
      'linkspan lab up && linkspan lab exec host -- linkspan daemon',
      'An engine that cannot touch this machine’s network',
    ],
  ],
  run: async (context, values) => {
    const { createLab } = await import('../../lab/index.ts')
    const lab = await createLab({ directory: values.directory, ipv6: values.ipv6 })
    context.stdout.write(`the lab is up in ${lab.directory}

  host      eth0 10.10.101.105/24 ── internet   10.10.101.254 (gateway), 180.76.3.151 (HTTP, DNS)

  linkspan lab exec host -- curl -s http://180.76.3.151/
  linkspan lab exec internet -- ping -c 1 10.10.101.105
  linkspan lab down
`)
    return 0
  },
})

export const exec = defineCommand({
  usage: '[OPTIONS] host|internet [--] COMMAND [ARG...]',
  flags: { directory },
  minimum: 2,
  passThrough: true,
  examples: [
    ['linkspan lab exec host -- ip address', "The lab's host"],
    ['linkspan lab exec internet -- curl -s http://10.10.101.105/', 'What the internet sees of it'],
  ],
  run: async (_context, values, [place = '', ...words]) => {
    if (place !== 'host' && place !== 'internet') {
      throw new Failure(`there is no ${JSON.stringify(place)} in a lab: host or internet`)
    }
    const argv = words[0] === '--' ? words.slice(1) : words
    if (argv.length === 0) throw new Failure('no command')
    const { openLab } = await import('../../lab/index.ts')
    const lab = openLab(values.directory)
    if (lab === undefined)
      throw new Failure(`there is no lab in ${values.directory}; make one with linkspan lab up`)
    const [command = '', ...args] = lab.argv(place, argv)
    return run(command, args)
  },
})

/** Runs it on our terminal and ends as it ends; signals from the keyboard reach it by themselves. */
function run(command: string, args: readonly string[]): Promise<number> {
  const ignore = (): void => undefined
  process.on('SIGINT', ignore)
  process.on('SIGQUIT', ignore)
  return new Promise((done, fail) => {
    const child = spawn(command, args, { stdio: 'inherit' })
    const terminate = (): void => void child.kill('SIGTERM')
    process.on('SIGTERM', terminate)
    child.once('error', fail)
    child.once('exit', (code, signal) => {
      process.off('SIGINT', ignore)
      process.off('SIGQUIT', ignore)
      process.off('SIGTERM', terminate)
      done(code ?? 128 + (signal === null ? 0 : constants.signals[signal]))
    })
  })
}

export const down = defineCommand({
  usage: '[OPTIONS]',
  flags: { directory },
  minimum: 0,
  maximum: 0,
  run: async (_context, values) => {
    const { removeLab } = await import('../../lab/index.ts')
    await removeLab(values.directory)
    return 0
  },
})
