// What the pages decide without a server: the words an editor reads, rates and times, forms from schemas, what needs somebody.
import { describe, expect, it } from 'vitest'
import type { EntrySyncState } from '../../server/http/contract/extension.ts'
import type { ContentType, Run, MappingRow } from '../../server/http/contract/stack.ts'
import { loginAddress } from '../../ui/api/console.ts'
import { counted, shortened } from '../../ui/components/basics.tsx'
import { searchWith } from '../../ui/components/list.tsx'
import { externalIdFields, mappingByName, missingFields } from '../../ui/components/stack/inbound.ts'
import { draftRow, isComplete, mappingOf } from '../../ui/components/stack/mapping-rows.ts'
import { scopesOf } from '../../ui/components/stack/new-key.tsx'
import { addSample, rateOf, rates, settled, timeLeft } from '../../ui/components/stack/progress.ts'
import { settingsOf, variantsOf } from '../../ui/components/stack/schema-form.ts'
import { duration, momentWords, relativeTime, untilWords } from '../../ui/components/time.tsx'
import { abilities, roleFor } from '../../ui/console/me.tsx'
import { nameOf, summarize } from '../../ui/locations/entry-sidebar/summary.ts'
import { locationAt } from '../../ui/locations/paths.ts'

type State = EntrySyncState['state']

function syncsIn(states: State[]): { syncs: EntrySyncState[] } {
  return {
    syncs: states.map((state, index) => ({
      syncId: `syn_${index}`,
      syncName: `Sync ${index}`,
      system: 'PostgreSQL',
      connection: `Database ${index}`,
      direction: 'Contentstack -> PostgreSQL',
      state,
      version: 1,
      syncedAt: 0,
      error: null,
      cause: null,
      causeId: null
    }))
  }
}

describe('the line of state for a whole entry', () => {
  it.each<[State[], string, string]>([
    [[], 'No sync covers this entry', 'quiet'],
    [['in_sync'], 'In sync with PostgreSQL', 'good'],
    [['in_sync', 'in_sync', 'in_sync'], 'In sync with all 3 systems', 'good'],
    [['in_sync', 'in_sync', 'behind'], 'In sync with 2 of 3 systems', 'wait'],
    [['in_sync', 'failing', 'behind'], 'In sync with 1 of 3 systems', 'bad'],
    [['failing'], 'Failing to reach its system', 'bad'],
    [['failing', 'failing'], 'Failing to reach 2 systems', 'bad'],
    [['behind'], 'Behind in its system', 'wait'],
    [['held', 'held'], 'On hold', 'wait'],
    [['syncing', 'in_sync'], 'Syncing', 'moving'],
    [['never'], 'Not synced yet', 'quiet'],
    [['paused'], 'Paused', 'quiet'],
    [['paused', 'in_sync'], 'In sync with 1 of 2 systems', 'quiet']
  ])('for %j is "%s"', (states, word, tone) => {
    expect(summarize(syncsIn(states))).toMatchObject({ word, tone })
  })
})

describe('the name of a row', () => {
  const row = (system: string, connection: string) => ({ system, connection })
  const website = row('SQLite', 'Website database')
  it.each([
    ['the only one', [website], 'SQLite'],
    ['one beside another system', [website, row('PostgreSQL', 'Archive')], 'SQLite'],
    ['one of two of the same system', [website, row('SQLite', 'Archive')], 'SQLite · Website database'],
    ['one of two over the same connection', [website, website], 'SQLite · Website database']
  ])('of %s', (_, all, name) => {
    expect(nameOf(website, all)).toBe(name)
  })
})

describe('the progress of a run', () => {
  const samples = [0, 1, 2, 3].reduce<{ at: number; done: number }[]>(
    (before, second) => addSample(before, { at: second * 1000, done: second * 120 }),
    []
  )

  it('counts a record as done once it was written, skipped, deleted or set aside', () => {
    expect(settled({ read: 10, written: 3, skipped: 2, failed: 1, deleted: 1 } as Run)).toBe(7)
  })

  it('has a rate and a time left after two looks a second apart', () => {
    expect(rateOf(samples.slice(0, 1))).toBeNull()
    expect(rateOf(samples)).toBe(120)
    expect(timeLeft(360, 1560, 120)).toBe(10_000)
    expect(rates(samples)).toEqual([120, 120, 120])
  })

  it.each([
    ['the total is not known', 10, null, 5],
    ['it does not move', 10, 20, 0],
    ['no rate is known', 10, 20, null]
  ])('has no time left when %s', (_title, done, total, rate) => {
    expect(timeLeft(done, total, rate)).toBeNull()
  })

  it('begins anew when the counters fall, because another attempt began', () => {
    expect(addSample(samples, { at: 9000, done: 5 })).toEqual([{ at: 9000, done: 5 }])
  })

  it('ignores a look that is not newer', () => {
    expect(addSample(samples, { at: 3000, done: 999 })).toBe(samples)
  })
})

describe('a connection form', () => {
  const schema = {
    oneOf: [
      {
        type: 'object',
        properties: { system: { const: 'sqlite', description: 'SQLite' }, file: { type: 'string', description: 'File' } },
        required: ['system', 'file']
      },
      {
        type: 'object',
        properties: {
          system: { const: 'postgres', description: 'PostgreSQL' },
          host: { type: 'string', description: 'Host' },
          port: { type: 'integer', default: 5432 },
          ssl: { enum: ['off', 'verify'], default: 'off' },
          pool: { type: 'boolean' },
          note: { type: 'string' }
        },
        required: ['system', 'host', 'port']
      }
    ]
  }
  const [sqlite, postgres] = variantsOf(schema)

  it('offers each kind of system by its name, with its own fields', () => {
    expect([sqlite?.label, postgres?.label]).toEqual(['SQLite', 'PostgreSQL'])
    expect(sqlite?.fields.map(field => field.label)).toEqual(['File'])
    expect(postgres?.fields.map(field => field.kind)).toEqual(['text', 'number', 'choice', 'boolean', 'text'])
  })

  it('asks for nothing that has a default', () => {
    expect(postgres?.fields.filter(field => field.required).map(field => field.name)).toEqual(['host'])
  })

  it('sends numbers as numbers, defaults as they stand, and leaves empty fields out', () => {
    expect(postgres && settingsOf(postgres, { host: 'db', port: '5433', pool: 'true', note: '' })).toEqual({
      system: 'postgres',
      host: 'db',
      port: 5433,
      ssl: 'off',
      pool: true
    })
  })

  it('sends a port that is no number as it was typed, so that the server can name the field', () => {
    expect(postgres && settingsOf(postgres, { host: 'db', port: 'http' })).toMatchObject({ port: 'http' })
  })

  it('reads a single object as the one choice', () => {
    expect(variantsOf({ type: 'object', properties: { url: { type: 'string' } }, required: ['url'] })).toMatchObject([
      { fixed: {}, fields: [{ name: 'url', label: 'Url' }] }
    ])
  })
})

describe('an inbound sync', () => {
  const field = (uid: string, more: Partial<ContentType['fields'][number]> = {}) => ({
    uid,
    title: uid,
    type: 'text',
    unique: false,
    mandatory: false,
    localizable: false,
    ...more
  })
  const country: ContentType = {
    uid: 'country',
    title: 'Country',
    fields: [
      field('title', { unique: true, mandatory: true, localizable: true }),
      field('code', { unique: true, mandatory: true }),
      field('full_name'),
      field('area', { type: 'number', unique: true })
    ]
  }

  it('recognises records only by unique text that is the same in every locale', () => {
    expect(externalIdFields(country).map(each => each.uid)).toEqual(['code'])
  })

  it('carries a column to the field of the same name, whatever the case', () => {
    expect(
      mappingByName(
        [
          { name: 'CODE', type: 'text' },
          { name: 'fullName', type: 'text' },
          { name: 'other', type: 'text' }
        ],
        country
      )
    ).toEqual([
      { from: 'CODE', to: 'code' },
      { from: 'fullName', to: 'full_name' }
    ])
  })

  it('makes a title of the name where nothing else gives one', () => {
    const name = { name: 'Name', type: 'text' }
    expect(mappingByName([name], country)).toEqual([{ from: 'Name', to: 'title' }])
    expect(mappingByName([name, { name: 'title', type: 'text' }], country)).toEqual([{ from: 'title', to: 'title' }])
  })

  it('gives back the mapping that it was opened with, and leaves out rows that were not begun', () => {
    const mapping: MappingRow[] = [
      { from: 'title', to: 'title', required: true },
      { expression: 'a & b', to: 'both', default: 0, type: 'integer' },
      { from: 'flag', to: 'flag', default: false }
    ]
    expect(mappingOf([...mapping.map(draftRow), draftRow()], 'outbound')).toEqual(mapping)
    expect(mappingOf([draftRow({ expression: 'a', to: 'x', type: 'json' })], 'inbound')).toEqual([{ expression: 'a', to: 'x' }])
  })

  it.each<[Partial<MappingRow>, boolean]>([
    [{ from: 'a', to: 'b' }, true],
    [{ expression: 'a', to: 'b' }, true],
    [{ expression: ' ', to: 'b' }, false],
    [{ to: 'b' }, false],
    [{ from: 'a', to: ' ' }, false],
    [{}, false]
  ])('knows whether the row %j is complete', (row, complete) => {
    expect(isComplete([draftRow(row)])).toBe(complete)
  })

  it('names the mandatory fields that nothing goes to', () => {
    expect(missingFields([{ from: 'a', to: 'code' }], country).map(each => each.uid)).toEqual(['title'])
  })
})

describe('small words', () => {
  it.each([
    [0, 5000, 'just now'],
    [0, 200_000, '3 min ago'],
    [90_000_000, 0, 'tomorrow']
  ])('says when %i is, at %i', (at, now, words) => {
    expect(relativeTime(at, now).replace('.', '')).toBe(words)
  })

  it('says how long something took', () => {
    expect([duration(800), duration(200_000), duration(3_840_000)]).toEqual(['1 s', '3 min 20 s', '1 h 04 min'])
  })

  it.each([
    [5.5 * 86_400_000, 'in 5 days'],
    [86_400_001, 'in 1 day'],
    [86_400_000, 'in 1 day'],
    [5 * 3_600_000 - 1, 'in 5 hours'],
    [60_000, 'within an hour'],
    [0, 'now'],
    [-1, 'now']
  ])('says how long until something ends, %i ms ahead', (at, words) => {
    expect(untilWords(at, 0)).toBe(words)
  })

  it('says when something happened, by the clock today and with the day before that', () => {
    const today = new Date(2026, 11, 3, 14, 2).getTime()
    expect(momentWords(today, today + 3_600_000)).toBe('at 14:02')
    expect(momentWords(today, today + 86_400_000)).toBe('on 3 Dec at 14:02')
  })

  it('shortens long ids in the middle and leaves short ones whole', () => {
    expect([shortened('run_1'), shortened('blt8f14e45fceea167a')]).toEqual(['run_1', 'blt8f14e…a167a'])
  })

  it('counts one as one', () => {
    expect([counted(1, 'sync'), counted(0, 'sync')]).toEqual(['1 sync', '0 syncs'])
  })
})

describe('addresses', () => {
  it('begins a changed filter at the newest page', () => {
    expect(searchWith(new URLSearchParams('before=x&status=failed'), { status: 'partial' })).toBe('status=partial')
    expect(searchWith(new URLSearchParams('status=failed'), { before: 'y' })).toBe('status=failed&before=y')
    expect(searchWith(new URLSearchParams('status=failed'), { status: '' })).toBe('')
  })

  it.each(['https://evil.example/console', '//evil.example', '/api/console/me', '/console/login'])(
    'does not ask to come back to %s after login',
    back => {
      expect(loginAddress(back)).toBe('/console/login')
    }
  )

  it('asks to come back to a page of the console', () => {
    expect(loginAddress('/console/runs?status=failed')).toBe('/console/login?return=%2Fconsole%2Fruns%3Fstatus%3Dfailed')
  })

  it.each(['/', '/entry-sidebar/', '/entry-sidebar/../full-page', '/console'])('has no location at %s', path => {
    expect(locationAt(path)).toBeNull()
  })
})

describe('rights as the pages show them', () => {
  it('gives an auditor nothing to press, an operator runs, an admin everything', () => {
    expect(abilities('auditor')).toEqual({ custody: false, configure: false, run: false })
    expect(abilities('operator')).toEqual({ custody: false, configure: false, run: true })
    expect(abilities('admin')).toEqual({ custody: true, configure: true, run: true })
    expect(abilities(null)).toEqual(abilities('auditor'))
  })

  it('takes the role of the organization at hand', () => {
    const me = {
      name: 'Otto',
      email: 'o@x',
      organizations: [
        { id: 'org_1', name: 'A', role: 'admin' as const },
        { id: 'org_2', name: 'B', role: 'auditor' as const }
      ]
    }
    expect([roleFor(me, { organizationId: 'org_2' }), roleFor(me, { organizationId: 'org_3' })]).toEqual(['auditor', null])
  })

  it('makes a key of exactly what was ticked', () => {
    expect(scopesOf(['entries write', 'assets read', 'entries read'], ' article, ')).toEqual([
      { module: 'entries', actions: ['read', 'write'], contentTypes: ['article'] },
      { module: 'assets', actions: ['read'] }
    ])
  })
})
