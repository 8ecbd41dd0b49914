/** `capture`: the frames of a container, or of a whole way, as one file for Wireshark. */
import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import type { Writable } from 'node:stream'
import { defineCommand } from '../command.ts'
import { Failure } from '../failure.ts'
import { text } from '../flags.ts'

export const capture = defineCommand({
  usage: '[OPTIONS] CONTAINER',
  flags: {
    path: text('Capture on every link of the way to this end (as explain takes it)'),
    write: text("File to write pcapng to; '-' is standard output", { short: 'w' }),
  },
  minimum: 1,
  maximum: 1,
  examples: [
    ['linkspan capture web -w web.pcapng', "What goes through web's cables, until Ctrl-C"],
    ['linkspan capture web --path db:5432 -w - | wireshark -k -i -', 'Each link from web to db, live'],
  ],
  run: async (context, values, [container = '']) => {
    if (values.write === '') throw new Failure('where to? -w FILE, or -w - for standard output')
    if (values.write === '-' && context.stdout.isTTY === true)
      throw new Failure('this is binary: pipe it, or write it to a file')
    const ending = new AbortController()
    const stop = () => ending.abort()
    const response = await context.client.open('GET', '/linkspan/v1/capture', {
      query: { container, to: values.path === '' ? undefined : values.path },
      signal: ending.signal,
    })
    const output: Writable = values.write === '-' ? context.stdout : createWriteStream(values.write)
    for (const signal of ['SIGINT', 'SIGTERM']) context.signals.on(signal, stop)
    if (values.write !== '-') context.warn(`capturing into ${values.write}; Ctrl-C ends it`)
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        if (!output.write(chunk)) await once(output, 'drain')
      }
    } catch (error) {
      if (!ending.signal.aborted) throw error
    } finally {
      for (const signal of ['SIGINT', 'SIGTERM']) context.signals.off(signal, stop)
      if (values.write !== '-') {
        output.end()
        await once(output, 'finish')
      }
    }
    return 0
  },
})
