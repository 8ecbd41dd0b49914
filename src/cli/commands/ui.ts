/** `ui`: the way to the page. */
import { spawn } from 'node:child_process'
import { defineCommand } from '../command.ts'
import { boolean } from '../flags.ts'

export const ui = defineCommand({
  usage: '[OPTIONS]',
  flags: {
    open: boolean('Open it in the browser (xdg-open) as well'),
  },
  minimum: 0,
  maximum: 0,
  examples: [
    ['linkspan ui', 'An address that works once, within ten minutes'],
    ['ssh -L 7353:127.0.0.1:7353 HOST', 'Reach the page of another machine; open the printed address there'],
  ],
  run: async (context, values) => {
    const { Url: url } = await context.client.json<{ readonly Url: string }>('POST', '/linkspan/v1/ui')
    context.print(url)
    if (values.open) {
      const opener = spawn('xdg-open', [url], { stdio: 'ignore', detached: true })
      opener.on('error', () => context.warn('xdg-open is not installed: open the address yourself'))
      opener.unref()
    }
    return 0
  },
})
