// What every connector must hold, run against a real system: a batch or page twice is harmless, outcomes are per record, pulls
// resume from any checkpoint, drift is seen by fingerprint, the signal is honoured, no secret comes out in an error. What a connector
// or its system has no means for is skipped, with the reason in the test's name.
import { inspect } from 'node:util'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Change, Connector, ConnectorContext, FieldValues, Page, Shape, SourceRecord } from '../../server/connectors/connector.ts'
import { AppError } from '../../server/errors.ts'

export interface Bench {
  connector: Connector
  settings: unknown
  /** Settings under which nothing answers. */
  unreachable: unknown
  ctx: ConnectorContext
  /** Rows of a destination as the system's own client sees them, by key. */
  rows(target: string): Promise<Map<string, Record<string, unknown>>>
  /** Makes a source of `id`, `name`, `changed_at` with that many records, keys in some order. */
  seed(target: string, count: number): Promise<void>
  /** A value that the shape's `amount` column cannot hold. */
  poison: FieldValues
  /** What must never be read in an outcome or an error, its cause included; made so that the system meets it. */
  secrets: string[]
  /** From the next write but `after` on, the system asks to come back in so many seconds. */
  throttle?(seconds: number, after: number): void
}

/** Why a connector leaves a part of the battery out. */
export interface Lacks {
  pull?: string
  list?: string
  throttle?: string
  order?: string
}

export const destination: Shape = {
  target: 'article',
  key: '_key',
  fields: [
    { name: 'entry_uid', type: 'text' },
    { name: 'title', type: 'text' },
    { name: 'amount', type: 'integer' },
    { name: 'rating', type: 'number' },
    { name: 'live', type: 'boolean' },
    { name: 'published_on', type: 'datetime' },
    { name: 'parts', type: 'json' }
  ]
}

export function connectorBattery(name: string, open: () => Promise<Bench>, lacks: Lacks = {}): void {
  const why = (reason: string | undefined): string => (reason === undefined ? '' : ` [${reason}]`)
  describe(`${name} holds the battery of every connector`, () => {
    let bench: Bench
    const use = (): Required<Connector> => bench.connector as Required<Connector>
    const prepare = async (shape = destination): Promise<void> => await bench.connector.prepare?.(shape, bench.settings, bench.ctx)
    const push = (changes: Change[], shape = destination) => use().push(shape, changes, bench.settings, bench.ctx)
    const list = () => collect(use().list(destination, bench.settings, bench.ctx))
    beforeEach(async () => {
      bench = await open()
    })

    it('checks what can be reached, and refuses the unreachable with a remedy and no secret', async () => {
      await bench.connector.check(bench.settings, bench.ctx)
      const error = await bench.connector.check(bench.unreachable, bench.ctx).catch((error: unknown) => error)
      expect(error).toBeInstanceOf(AppError)
      expect((error as AppError).remedy).toMatch(/\w+/)
      expectNoSecret(error)
    })

    it('takes its own settings through JSON', () => {
      expect(bench.connector.settings.parse(JSON.parse(JSON.stringify(bench.settings)))).toEqual(bench.settings)
    })

    it('prepares as often as asked and grows without losing rows', async () => {
      await prepare()
      await push([change('a', 1)])
      await prepare()
      const grown = { ...destination, fields: [...destination.fields, { name: 'subtitle', type: 'text' as const }] }
      await prepare(grown)
      await push([{ ...change('b', 1), values: { ...valuesOf('b'), subtitle: 'under b' } }], grown)
      const rows = await bench.rows('article')
      expect([...rows.keys()].sort()).toEqual(['a', 'b'])
      expect(rows.get('b')?.['subtitle']).toBe('under b')
    })

    it('is not hurt by the same batch twice', async () => {
      await prepare()
      const batch = Array.from({ length: 450 }, (_, index) => change(`k${index}`, 1))
      const first = await push(batch)
      const before = await bench.rows('article')
      const second = await push(batch)
      expect(first.map(({ status }) => status)).toEqual(batch.map(() => 'written'))
      expect(second.map(({ key, status, fingerprint }) => [key, status, fingerprint])).toEqual(
        first.map(({ key, status, fingerprint }) => [key, status, fingerprint])
      )
      expect(await bench.rows('article')).toEqual(before)
      expect(before.size).toBe(450)
    })

    it.skipIf(lacks.order !== undefined)(
      `refuses a lower order than the row has taken, for writes and deletes${why(lacks.order)}`,
      async () => {
        await prepare()
        await push([change('a', 5, { title: 'newer' })])
        expect(await push([change('a', 4, { title: 'older' })])).toMatchObject([{ key: 'a', status: 'stale' }])
        expect(await push([{ key: 'a', values: null, order: 4 }])).toMatchObject([{ key: 'a', status: 'stale' }])
        expect((await bench.rows('article')).get('a')?.['title']).toBe('newer')
      }
    )

    it('deletes, and a second delete is as good as the first', async () => {
      await prepare()
      await push([change('a', 1), change('b', 1)])
      const gone: Change[] = [{ key: 'a', values: null, order: 2 }]
      expect(await push(gone)).toMatchObject([{ key: 'a', status: 'deleted' }])
      expect(await push(gone)).toMatchObject([{ key: 'a', status: 'deleted' }])
      expect([...(await bench.rows('article')).keys()]).toEqual(['b'])
    })

    it('gives each record of a batch its own outcome when one is poison', async () => {
      await prepare()
      const batch = Array.from({ length: 60 }, (_, index) => (index === 37 ? change('poison', 1, bench.poison) : change(`k${index}`, 1)))
      const outcomes = await push(batch)
      expect(outcomes.map(({ key }) => key)).toEqual(batch.map(({ key }) => key))
      expect(outcomes.filter(({ status }) => status !== 'written')).toMatchObject([
        { key: 'poison', status: 'invalid', error: expect.stringMatching(/\w/) }
      ])
      expectNoSecret(outcomes)
      expect((await bench.rows('article')).size).toBe(59)
    })

    it('applies two changes of one record in a batch in their order', async () => {
      await prepare()
      const outcomes = await push([change('a', 1, { title: 'first' }), change('b', 1), change('a', 2, { title: 'second' })])
      expect(outcomes.map(({ status }) => status)).toEqual(['written', 'written', 'written'])
      expect((await bench.rows('article')).get('a')?.['title']).toBe('second')
    })

    it.skipIf(lacks.list !== undefined)(`lists every record with the fingerprint that push reported${why(lacks.list)}`, async () => {
      await prepare()
      const odd: FieldValues = {
        entry_uid: null,
        title: 'Žluťoučký "kůň" 🐎\nline',
        amount: -7,
        rating: 0.1,
        live: false,
        published_on: null,
        parts: '{"b":[1,2.50,{"d":null,"c":"x"}],"a":1}'
      }
      const batch = [
        ...Array.from({ length: 520 }, (_, index) => change(`k${index}`, 1)),
        change('odd', 1, odd),
        change('empty', 1, blank())
      ]
      const pushed = new Map((await push(batch)).map(({ key, fingerprint }) => [key, fingerprint]))
      expect(new Map((await list()).map(({ key, fingerprint }) => [key, fingerprint]))).toEqual(pushed)
    })

    it.skipIf(lacks.pull !== undefined)(
      `pulls every record once, and from any checkpoint exactly those after it${why(lacks.pull)}`,
      async () => {
        await bench.seed('source', 1203)
        const source: Shape = { target: 'source', key: 'id', fields: [{ name: 'name', type: 'text' }] }
        const pages = await collect(use().pull(source, null, bench.settings, bench.ctx))
        const keys = recordsOf(pages).map(({ key }) => key)
        expect(new Set(keys).size).toBe(1203)
        expect(keys).toHaveLength(1203)
        expect(pages.map(page => page.snapshotComplete === true)).toEqual(pages.map((_, index) => index === pages.length - 1))
        for (const [index, page] of pages.entries()) {
          const since: unknown = JSON.parse(JSON.stringify(page.checkpoint))
          const rest = recordsOf(await collect(use().pull(source, since, bench.settings, bench.ctx)))
          expect(rest.map(({ key }) => key)).toEqual(recordsOf(pages.slice(index + 1)).map(({ key }) => key))
        }
      }
    )

    it.skipIf(lacks.pull !== undefined)(
      `pulls by a cursor column without ever missing a record after its checkpoint${why(lacks.pull)}`,
      async () => {
        await bench.seed('source', 700)
        const source: Shape = { target: 'source', key: 'id', fields: [{ name: 'name', type: 'text' }], cursor: 'changed_at' }
        const pages = await collect(use().pull(source, null, bench.settings, bench.ctx))
        expect(new Set(recordsOf(pages).map(({ key }) => key)).size).toBe(700)
        for (const [index, page] of pages.entries()) {
          const again = new Set(
            recordsOf(await collect(use().pull(source, JSON.parse(JSON.stringify(page.checkpoint)), bench.settings, bench.ctx))).map(
              ({ key }) => key
            )
          )
          expect(recordsOf(pages.slice(index + 1)).filter(({ key }) => !again.has(key))).toEqual([])
        }
      }
    )

    it.skipIf(lacks.pull !== undefined)(`names a table or column that is not there${why(lacks.pull)}`, async () => {
      await bench.seed('source', 1)
      await expect(use().fields('nowhere', bench.settings, bench.ctx)).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringContaining('nowhere')
      })
      const source: Shape = { target: 'source', key: 'id', fields: [{ name: 'shoe_size', type: 'text' }] }
      await expect(collect(use().pull(source, null, bench.settings, bench.ctx))).rejects.toMatchObject({
        code: 'invalid',
        message: expect.stringContaining('shoe_size')
      })
    })

    it('stops writing at once when the signal says so', async () => {
      await prepare()
      const stopped = { ...bench.ctx, signal: AbortSignal.abort() }
      await expect(use().push(destination, [change('a', 1)], bench.settings, stopped)).rejects.toMatchObject({ name: 'AbortError' })
      expect((await bench.rows('article')).size).toBe(0)
    })

    it.skipIf(lacks.pull !== undefined)(`stops reading at once when the signal says so${why(lacks.pull)}`, async () => {
      await bench.seed('source', 3)
      const stopped = { ...bench.ctx, signal: AbortSignal.abort() }
      const source: Shape = { target: 'source', key: 'id', fields: [] }
      await expect(collect(use().pull(source, null, bench.settings, stopped))).rejects.toMatchObject({ name: 'AbortError' })
    })

    it.skipIf(lacks.list !== undefined)(`stops listing at once when the signal says so${why(lacks.list)}`, async () => {
      await prepare()
      const stopped = { ...bench.ctx, signal: AbortSignal.abort() }
      await expect(collect(use().list(destination, bench.settings, stopped))).rejects.toMatchObject({ name: 'AbortError' })
    })

    it.skipIf(lacks.throttle !== undefined)(
      `says how long the system asks to wait, and keeps what was taken before${why(lacks.throttle)}`,
      async () => {
        await prepare()
        bench.throttle?.(17, 0)
        await expect(push([change('a', 1), change('b', 1)])).rejects.toMatchObject({ code: 'rate_limited', retryAfterSeconds: 17 })
        bench.throttle?.(18, 5)
        const outcomes = await push(Array.from({ length: 40 }, (_, index) => change(`k${index}`, 2)))
        const written = outcomes.filter(({ status }) => status === 'written')
        expect(outcomes.filter(({ status }) => status === 'failed').length).toBe(40 - written.length)
        expect(written.map(({ key }) => key).sort()).toEqual([...(await bench.rows('article')).keys()].sort())
        expect(written.length).toBeGreaterThan(0)
        for (const outcome of outcomes.filter(({ status }) => status === 'failed')) expect(outcome.retryAfterSeconds).toBe(18)
      }
    )

    it.each(hostile)('holds %s as it is, or refuses that record alone', async (_, odd) => {
      await prepare()
      const batch = [change('before', 1), ...odd, change('behind', 1)]
      const outcomes = await push(batch)
      expect(outcomes.map(({ key }) => key)).toEqual(batch.map(({ key }) => key))
      expect(outcomes.filter(({ status, error }) => !(status === 'written' || (status === 'invalid' && error)))).toEqual([])
      expect([outcomes.at(0)?.status, outcomes.at(-1)?.status]).toEqual(['written', 'written'])
      const written = outcomes.filter(({ status }) => status === 'written')
      expect((await bench.rows('article')).size).toBe(written.length)
      // Where nothing can be listed the rows above are all there is to compare.
      const listed = bench.connector.list ? await list() : written
      expect(fingerprints(listed)).toEqual(fingerprints(written))
    })

    function expectNoSecret(said: unknown): void {
      const text = inspect(said, { depth: 10 })
      for (const secret of bench.secrets) expect(text).not.toContain(secret)
    }
  })
}

const texts = [
  ['a NUL', 'a\0b'],
  ['half a surrogate pair', 'a\ud800b'],
  ['emoji beyond three bytes', '👩‍👩‍👧‍👦 𝒳'],
  ['nothing at all', ''],
  ['a mebibyte', 'x'.repeat(1024 * 1024)],
  ['an end to the statement', `'); drop table article; -- " \` \\' \\0 %s ? $1 \u2028`],
  ['spaces around', '  a\t\n '],
  ['composed and decomposed letters', 'é e\u0301 İ ß ﷺ \u202e']
] as const
const numbers = [Number.MAX_SAFE_INTEGER, '9007199254740993', '-9223372036854775808', '9223372036854775808', '42', 4.5, -0, 1e21]
const fractions = [1e308, 5e-324, 0.1 + 0.2, -0, '0.1', -1.5e-10]
const dates = [
  '0001-01-01T00:00:00.000Z',
  '9999-12-31T23:59:59.999Z',
  '+012345-01-01T00:00:00.000Z',
  '-000044-03-15T00:00:00.000Z',
  '1969-12-31T23:59:59.999Z',
  '2026-03-29T02:30:00.000+02:00',
  '2026-10-25T00:30:00.000Z'
]
const documents = [
  'null',
  '"\\u0000"',
  '"\\ud800"',
  '{"__proto__":{"a":1},"constructor":2}',
  '{"n":12345678901234567890,"f":1e400}',
  '{"a":1,"a":2}',
  `${'['.repeat(90)}${']'.repeat(90)}`
]
const keys = [
  ['quotes', ['\'"`; drop table article; --', '?', '$1', '\\']],
  ['case, accents and spaces at the end', ['k', 'K', 'é', 'e\u0301', 'e', 'k ', 'k  ']],
  ['lengths', ['k'.repeat(700), 'k'.repeat(701), 'é'.repeat(2000)]],
  ['emoji', ['🐎', '🐄']]
] as const

/** One row each: what it is, and the changes that carry it. */
const hostile: [string, Change[]][] = [
  ...texts.map(([what, title]): [string, Change[]] => [`a text with ${what}`, [change('odd', 1, { title })]]),
  ...numbers.map((amount): [string, Change[]] => [`the whole number ${JSON.stringify(amount)}`, [change('odd', 1, { amount })]]),
  ...fractions.map((rating): [string, Change[]] => [`the number ${JSON.stringify(rating)}`, [change('odd', 1, { rating })]]),
  ...dates.map((date): [string, Change[]] => [`the date ${date}`, [change('odd', 1, { published_on: date })]]),
  ...documents.map((parts): [string, Change[]] => [`the JSON ${parts.slice(0, 40)}`, [change('odd', 1, { parts })]]),
  ...keys.map(([what, given]): [string, Change[]] => [`keys that try ${what}`, given.map(key => change(key, 1))])
]

export function change(key: string, order: number, values: FieldValues = {}): Change {
  return { key, order, values: { ...valuesOf(key), ...values } }
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

function valuesOf(key: string): FieldValues {
  return {
    entry_uid: `blt${key}`,
    title: `Title of ${key}`,
    amount: 42,
    rating: 4.5,
    live: true,
    published_on: '2026-03-28T19:35:13.578Z',
    parts: '[{"uid":"blt1"}]'
  }
}

function blank(): FieldValues {
  return Object.fromEntries(destination.fields.map(field => [field.name, null]))
}

function fingerprints(items: { key: string; fingerprint?: string }[]): Map<string, string | undefined> {
  return new Map(items.map(({ key, fingerprint }) => [key, fingerprint]))
}

function recordsOf(pages: Page<unknown>[]): SourceRecord[] {
  return pages.flatMap(page => page.records)
}
