/**
 * Ends a command with a message and an exit status. Everything a user can cause is one of these or comes from the
 * engine; anything else that is thrown is a defect of ours and is shown as one line (with its stack under --debug).
 */
export class Failure extends Error {
  override readonly name: string = 'Failure'
  readonly exitCode: number

  constructor(message: string, exitCode = 1, options?: ErrorOptions) {
    super(message, options)
    this.exitCode = exitCode
  }
}

/** A failure after which advice on usage would be noise: the terminal is none, the output's reader went away. */
export class PlainFailure extends Failure {
  override readonly name = 'PlainFailure'
}

/** The engine answered with an error; `message` is its own words. */
export class EngineError extends Error {
  override readonly name = 'EngineError'
  readonly status: number

  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/** One line for people: the engine's errors are marked as such, in docker's words. */
export function describe(error: unknown): string {
  if (error instanceof EngineError) return `Error response from daemon: ${error.message}`
  return error instanceof Error ? error.message : String(error)
}
