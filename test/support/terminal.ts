/**
 * A person at a terminal: a shell line runs on a pseudo-terminal of its own (script(1) makes it), what it shows can be
 * waited for, keys can be pressed, and the window can be resized.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'

/** What a terminal obeys rather than shows: colours, and questions about the cursor (busybox asks after its prompt). */
// oxlint-disable-next-line no-control-regex
const control = /\u001b\[[0-9;?]*[A-Za-z]/g

export const ctrlP = '\u0010'
export const ctrlQ = '\u0011'

export class Terminal {
  readonly #child: ChildProcess
  readonly #ended: Promise<number>
  #screen = ''

  constructor(
    line: string,
    env: NodeJS.ProcessEnv,
    size: readonly [rows: number, columns: number] = [24, 80],
  ) {
    // The first thing on the screen is the terminal's name: resizing goes by it.
    const start = `stty rows ${size[0]} cols ${size[1]}; tty; ${line}`
    this.#child = spawn('script', ['-qefc', start, '/dev/null'], { env: { ...env, SHELL: '/bin/sh' } })
    this.#child.stdout?.on('data', (data: Buffer) => {
      this.#screen += data.toString()
    })
    this.#ended = new Promise(resolve => this.#child.once('close', code => resolve(code ?? 255)))
  }

  /** Everything shown so far, without control sequences. */
  get screen(): string {
    return this.#screen.replaceAll(control, '').replaceAll('\r', '')
  }

  /** Waits until the screen matches; fails with the screen if it does not within 20 seconds. */
  async shows(pattern: RegExp): Promise<void> {
    for (let waited = 0; waited < 20_000; waited += 20) {
      if (pattern.test(this.screen)) return
      await sleep(20)
    }
    this.#child.kill()
    throw new Error(`${String(pattern)} never showed:\n${this.screen}`)
  }

  /** Waits for a shell's prompt at the end of the screen. */
  prompt(): Promise<void> {
    return this.shows(/[#$] $/)
  }

  press(keys: string): void {
    this.#child.stdin?.write(keys)
  }

  resize(rows: number, columns: number): void {
    const [name = ''] = /\/dev\/pts\/\d+/.exec(this.screen) ?? []
    execFileSync('stty', ['-F', name, 'rows', String(rows), 'cols', String(columns)])
  }

  /** Exit status of the line, once it is over. */
  async ends(): Promise<number> {
    const timer = setTimeout(() => this.#child.kill(), 20_000)
    const code = await this.#ended
    clearTimeout(timer)
    return code
  }
}
