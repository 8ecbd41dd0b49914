/**
 * What the API needs of whoever answers questions about the engine. The answers are plain values and go out as they
 * are: this floor knows nothing of what is in them.
 */
export interface Insight {
  explain(question: { readonly from: string; readonly to: string }): Promise<object>
  verify(question: { readonly from: string; readonly to: string }): Promise<object>
  /** Throws before it follows anything; then tells until the function that it gives is called. */
  trace(
    question: { readonly containers: readonly string[]; readonly port?: number },
    tell: (message: object) => void,
  ): () => void
  capture(
    question: { readonly container: string; readonly to?: string },
    write: (bytes: Uint8Array) => void,
  ): Promise<() => void>
  diagnose(): Promise<object>
  mend(checks: readonly string[]): Promise<object>
  rules(container: string): Promise<object>
  picture(): Promise<object>
  followPicture(tell: (message: object) => void): () => void
}
