// The official SDK ships TypeScript sources that no strict configuration compiles; tsconfig.json puts these few words of its
// interface in their place. Only what our tests call.
interface Call {
  // biome-ignore lint/suspicious/noExplicitAny: the SDK's own answers are loosely typed, and the tests assert what they read
  [name: string]: any
}
export declare function client(options: Record<string, unknown>): Call
