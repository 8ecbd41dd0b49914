/** Questions about the engine, answered from its records, its blueprint and the kernel. Only `mend` changes anything. */
import type { ObservedEngine } from '../engine/index.ts'
import { capture, type CaptureQuestion } from './capture.ts'
import { diagnose, type Diagnosis, mend } from './doctor.ts'
import { explain, type Question } from './explain.ts'
import type { Explanation } from './explanation.ts'
import { PictureFeed, type PictureMessage } from './follow.ts'
import { type OwnRules, rulesOf } from './own-rules.ts'
import { type Picture, takePicture } from './picture.ts'
import { Trace, type TraceMessage, type TraceQuestion } from './trace.ts'
import { verify, type Verification } from './verify.ts'

export interface Insight {
  /** Writes pcapng until the function that it gives is called. */
  capture(question: CaptureQuestion, write: (bytes: Uint8Array) => void): Promise<() => void>
  diagnose(): Promise<Diagnosis>
  /** Mends what can be mended, or only the checks that are named, and looks again. Throws invalidParameter. */
  mend(checks: readonly string[]): Promise<Diagnosis>
  /** Follows packets until the function that it gives is called. Throws as `rules` does. */
  trace(question: TraceQuestion, tell: (message: TraceMessage) => void): () => void
  /** Throws containerNotFound, containerNotRunning (the sender), invalidParameter. */
  explain(question: Question): Promise<Explanation>
  /** As `explain`, and sends a probe to see whether it is so. */
  verify(question: Question): Promise<Verification>
  /** Throws containerNotFound, containerNotRunning. */
  rules(container: string): Promise<OwnRules>
  picture(): Promise<Picture>
  /** Tells the whole picture, then changes and rates, until the function that it gives is called. */
  followPicture(tell: (message: PictureMessage) => void): () => void
}

export function createInsight(engine: ObservedEngine): Insight {
  const feed = new PictureFeed(engine)
  return {
    explain: question => explain(engine, question),
    verify: question => verify(engine, question),
    trace(question, tell) {
      const trace = new Trace(engine, question, tell)
      return () => trace.close()
    },
    diagnose: () => diagnose(engine),
    mend: checks => mend(engine, checks),
    capture: (question, write) => capture(engine, question, write),
    rules: container => rulesOf(engine, container),
    picture: () => takePicture(engine),
    followPicture: tell => feed.follow(tell),
  }
}
