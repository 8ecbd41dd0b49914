/** What the engine has made and why: pictures of it, and answers to questions about it. */
export { createInsight, type Insight } from './insight.ts'
export type * from './picture.ts'
export type { PictureMessage, Rates } from './follow.ts'
export { codes, type Code, type Explanation, type Hop, type Verdict } from './explanation.ts'
export type { OwnRule, OwnRules } from './own-rules.ts'
export { graphText, type GraphForm } from './graph.ts'
export type { TracedPacket, TraceMessage } from './trace.ts'
export type { Diagnosis, Finding } from './doctor.ts'
