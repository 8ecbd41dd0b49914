/** The habit of commands that take several names: do all, print each that worked, complain of the others at the end. */
import type { Context } from './context.ts'
import { describe } from './failure.ts'

/**
 * Runs `action` for each name in order; prints what it answers. Status 1 if any failed, and `closing` (if given) as
 * last line of the complaint.
 */
export async function forEachName(
  context: Context,
  names: readonly string[],
  action: (name: string) => Promise<string | undefined>,
  closing?: string,
): Promise<number> {
  const failures: string[] = []
  for (const name of names) {
    try {
      const line = await action(name)
      if (line !== undefined) context.print(line)
    } catch (error) {
      failures.push(describe(error))
    }
  }
  for (const failure of failures) context.warn(failure)
  if (failures.length > 0 && closing !== undefined) context.warn(closing)
  return failures.length === 0 ? 0 : 1
}
