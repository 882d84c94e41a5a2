// The official SDK ships TypeScript sources that no strict configuration compiles; tsconfig.json puts these few words of its
// interface in their place. Only what our tests call.
interface Call {
  // The SDK's own answers are loosely typed; the tests assert what they read.
  // oxlint-disable-next-line typescript/no-explicit-any
  [name: string]: any
}
export declare function client(options: Record<string, unknown>): Call
