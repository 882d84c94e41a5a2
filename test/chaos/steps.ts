// What happens in one seed: who does what, in which order. The same seed gives the same steps on every machine; a step is plain JSON,
// so that a list of them can be printed, shortened and played again. `pick` is a number that the player takes modulo of what there is.

export const contentTypes = ['product', 'author', 'country'] as const
const httpFaults = ['429', '500', '503', '401', 'reset-before', 'reset-after', 'truncate', 'slow'] as const
const webhookFaults = ['drop', 'duplicate', 'late'] as const

export type Step =
  /** People in the CMS. */
  | { do: 'create'; type: 'product' | 'author' }
  | { do: 'edit'; type: (typeof contentTypes)[number]; pick: number }
  | { do: 'localize'; type: (typeof contentTypes)[number]; pick: number; locale: 'de-de' | 'fr-fr' }
  | { do: 'unlocalize'; type: (typeof contentTypes)[number]; pick: number; by: 'unlocalize' | 'delete' }
  | { do: 'delete'; type: (typeof contentTypes)[number]; pick: number }
  | { do: 'publish' | 'unpublish'; type: 'product' | 'author'; pick: number }
  /** More entries at once than a run may remove by itself, and no webhook says so. */
  | { do: 'purge'; count: number }
  /** In the source's table. */
  | { do: 'source-insert' }
  | { do: 'source-update' | 'source-delete' | 'source-poison'; pick: number }
  /** Admins of Quayside. `sync` counts the syncs of the stage. */
  | { do: 'pause' | 'resume' | 'run'; sync: number }
  | { do: 'remap'; sync: number }
  | { do: 'sync-now'; pick: number }
  | { do: 'revoke-token' | 'replace-token' }
  /** The weather. */
  | { do: 'fault'; kind: (typeof httpFaults)[number]; times: number; skip: number }
  | { do: 'webhooks'; kind: (typeof webhookFaults)[number]; times: number }
  /** Work until nothing is due; work beside the steps that follow; the process dies some milliseconds after it began; it goes down in order. */
  | { do: 'work' | 'work-beside' | 'deliver' | 'restart' }
  | { do: 'crash'; afterMs: number }

export interface Scenario {
  seed: number
  dialect: 'sqlite' | 'postgres'
  /** Of the outbound syncs; [] = all. */
  locales: string[]
  sortedPaging: 'sorted' | 'unsorted'
  steps: Step[]
}

export function scenarioOf(seed: number): Scenario {
  const random = mulberry(seed)
  const below = (limit: number): number => Math.floor(random() * limit)
  const one = <T>(list: readonly T[]): T => list[below(list.length)]!
  const pick = (): number => below(1000)
  // Weight, then how to make it.
  const makers: [number, () => Step][] = [
    [5, () => ({ do: 'create', type: one(['product', 'author'] as const) })],
    [10, () => ({ do: 'edit', type: one(contentTypes), pick: pick() })],
    [6, () => ({ do: 'localize', type: one(contentTypes), pick: pick(), locale: one(['de-de', 'fr-fr'] as const) })],
    [3, () => ({ do: 'unlocalize', type: one(contentTypes), pick: pick(), by: one(['unlocalize', 'delete'] as const) })],
    [4, () => ({ do: 'delete', type: one(contentTypes), pick: pick() })],
    [2, () => ({ do: one(['publish', 'unpublish'] as const), type: one(['product', 'author'] as const), pick: pick() })],
    [0.4, () => ({ do: 'purge', count: 27 + below(6) })],
    [4, () => ({ do: 'source-insert' })],
    [6, () => ({ do: one(['source-update', 'source-update', 'source-delete', 'source-poison'] as const), pick: pick() })],
    [3, () => ({ do: one(['pause', 'resume', 'resume'] as const), sync: pick() })],
    [4, () => ({ do: 'run', sync: pick() })],
    [1.5, () => ({ do: 'remap', sync: pick() })],
    [1, () => ({ do: 'sync-now', pick: pick() })],
    [1, () => ({ do: 'revoke-token' })],
    [1.5, () => ({ do: 'replace-token' })],
    [3, () => ({ do: 'fault', kind: one(httpFaults), times: 1 + below(2), skip: below(4) })],
    [4, () => ({ do: 'webhooks', kind: one(webhookFaults), times: 1 + below(4) })],
    [3, () => ({ do: 'work' })],
    [4, () => ({ do: 'work-beside' })],
    [2, () => ({ do: 'deliver' })],
    [0.5, () => ({ do: 'restart' })],
    [1.5, () => ({ do: 'crash', afterMs: below(60) })]
  ]
  const total = makers.reduce((sum, [weight]) => sum + weight, 0)
  const next = (): Step => {
    let at = random() * total
    for (const [weight, make] of makers) if ((at -= weight) < 0) return make()
    return { do: 'work' }
  }
  return {
    seed,
    dialect: seed % 2 === 0 ? 'sqlite' : 'postgres',
    locales: one([[], [], ['en-us', 'de-de']]),
    sortedPaging: one(['sorted', 'sorted', 'unsorted'] as const),
    steps: Array.from({ length: 25 + below(25) }, next)
  }
}

/** Mulberry32 (public domain, Tommy Ettinger): small, and good enough to choose steps by. */
function mulberry(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
