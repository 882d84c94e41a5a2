// The process in which expressions of mappings run (docs/decisions/0008). It has no environment, may neither write nor start
// anything, knows no table and no token, and says one result at a time, so that whoever ends it knows what it was at. Started by
// expressions.ts with [rss limit in bytes]; records come as JSON and are parsed anew for each, so that none spoils the next.
import { Worker } from 'node:worker_threads'
import jsonata from 'jsonata'

interface Batch {
  expressions: string[]
  records: string[]
}
type Said = { value: string } | { error: string }

/** Characters of JSON: about the largest entry that Contentstack takes. */
const longestResult = 1_000_000
/** Deeper recursion and longer ranges than any record needs are said as errors before they cost the process. */
const limits = { stack: 200, sequence: 100_000 }
const remembered = 500

const compiled = new Map<string, jsonata.Expression>()

// The clock stands still and chance is gone: some functions ask for today where a date leaves it open.
const steady = new Date(0).getTime()
const RealDate = Date
globalThis.Date = class extends RealDate {
  constructor(...given: [] | ConstructorParameters<DateConstructor>) {
    if (given.length === 0) super(steady)
    else super(...given)
  }
  static override now(): number {
    return steady
  }
} as DateConstructor
Math.random = () => 0

// A terminal sends these to the whole group: whoever started us decides when it is over.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', () => process.exit())

process.on('message', ({ expressions, records }: Batch) => {
  void answer(expressions, records)
})
const watch = new Worker(new URL('./expression-watch.ts', import.meta.url), {
  workerData: { rssLimit: Number(process.argv[2]), parent: process.ppid }
})
watch.once('online', () => process.send?.('ready'))

async function answer(expressions: readonly string[], records: readonly string[]): Promise<void> {
  for (const record of records) {
    for (const expression of expressions) process.send?.(await evaluated(expression, record))
  }
}

async function evaluated(text: string, record: string): Promise<Said> {
  try {
    const expression = compiled.get(text) ?? jsonata(text, limits)
    if (compiled.size >= remembered) compiled.clear()
    compiled.set(text, expression)
    const value = JSON.stringify(await expression.evaluate(JSON.parse(record)), plain) ?? 'null'
    if (value.length > longestResult) return { error: `gives ${value.length} characters; ${longestResult} are allowed.` }
    return { value }
  } catch (error) {
    return { error: `failed: ${messageOf(error)}` }
  }
}

/** A function has no place in a value, and its inside none in a message. */
function plain(_: string, value: unknown): unknown {
  if (typeof value === 'function') throw new TypeError('it gives a function, not a value')
  if (value === null || typeof value !== 'object') return value
  if ('_jsonata_lambda' in value || '_jsonata_function' in value) throw new TypeError('it gives a function, not a value')
  return value
}

function messageOf(error: unknown): string {
  const message = error !== null && typeof error === 'object' && 'message' in error ? error.message : error
  // It is kept as text, and PostgreSQL keeps no NUL.
  return String(message).slice(0, 300).replaceAll('\0', ' ')
}
