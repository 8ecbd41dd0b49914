/** `daemon`: reads the configuration and hands over to the engine. */
import { readFileSync } from 'node:fs'
import { defineCommand } from '../command.ts'
import { daemonFlags, daemonOptions, defaultConfigFile, mergeConfig, parseConfig } from '../daemon.ts'
import { Failure } from '../failure.ts'

/** The file's text; '' where nobody asked for a file and there is none. */
function configText(asked: string | undefined): string {
  const path = asked ?? defaultConfigFile
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    if (missing && asked === undefined) return ''
    throw new Failure(
      `unable to configure the daemon with file ${path}: ${missing ? 'no such file or directory' : String(error)}`,
      1,
      { cause: error },
    )
  }
}

export const daemon = defineCommand({
  usage: '[OPTIONS]',
  flags: daemonFlags,
  minimum: 0,
  maximum: 0,
  examples: [
    ['linkspan daemon', 'With everything as it comes'],
    ['linkspan daemon -H tcp://127.0.0.1:2375 -H unix:///run/linkspan/docker.sock', 'Two places to listen'],
    ['linkspan daemon --bip 192.168.5.1/24 --icc=false', 'As dockerd takes them'],
  ],
  run: async (context, values) => {
    const given = values as Parameters<typeof mergeConfig>[0]
    const path = given['config-file']
    const file = parseConfig(configText(path), path ?? defaultConfigFile)
    const options = daemonOptions(mergeConfig(given, file, path ?? defaultConfigFile))
    if (given.validate === true) {
      context.print('configuration OK')
      return 0
    }
    const { runDaemon } = await import('../../daemon.ts')
    await runDaemon(options)
    return 0
  },
})
