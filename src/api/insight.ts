/**
 * What the API needs of whoever answers questions about the engine. The answers are plain values and go out as they
 * are: this floor knows nothing of what is in them.
 */
export interface Insight {
  explain(question: { readonly from: string; readonly to: string }): Promise<object>
  rules(container: string): Promise<object>
  picture(): Promise<object>
  followPicture(tell: (message: object) => void): () => void
}
