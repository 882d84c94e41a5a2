// Lists as people see them: what lines up, what is cut, and what a name from elsewhere cannot do to a terminal.
import { describe, expect, it } from 'vitest'
import { plain, relative, tableOf } from '../../server/cli/table.ts'

const id = 'ins_0h3k9x2m4n5p6q7r'

describe('the table of a command', () => {
  it('lines columns up, numbers to the right, and leaves no spaces behind', () => {
    expect(
      tableOf([
        { stack: 'Blog', entries: 7 },
        { stack: 'Harbour site', entries: 1200 },
        { stack: '', entries: null }
      ])
    ).toBe(['stack         entries', 'Blog                7', 'Harbour site     1200', ''].join('\n'))
  })

  it('cuts the widest text where it must fit, and never an id', () => {
    const row = { id, stack: 'A stack with a very long name indeed', note: 'short' }
    const [, line = ''] = tableOf([row], 48).split('\n')
    expect(line).toBe(`${id}  A stack with a ver…  short`)
    expect(line).toHaveLength(48)
    expect(tableOf([row])).toContain(row.stack)
    expect(tableOf([row], 10)).toContain(id)
  })

  it('counts characters as a terminal shows them', () => {
    const [, wide = '', narrow = ''] = tableOf([
      { stack: '港湾', next: 'x' },
      { stack: 'é-é', next: 'x' }
    ]).split('\n')
    expect([wide, narrow]).toEqual(['港湾   x', 'é-é    x'])
  })

  it.each([
    ['a line end', 'Blog\nins_forged  active', 'Blog ins_forged active'],
    ['colours', '\u001B[31mBlog\u001B[0m', 'Blog'],
    ['a link', '\u001B]8;;http://evil.example\u0007Blog\u001B]8;;\u0007', 'Blog'],
    ['a carriage return', 'dead\ractive', 'dead active'],
    ['a turned direction', 'Blog\u202Etxt', 'Blogtxt'],
    ['a bare escape', '\u0007Bl\u0008og\u0000', 'Blog'],
    ['a C1 control', 'Blog\u009B2J', 'Blog'],
    ['half a character', 'Blog\uD83D', 'Blog']
  ])('takes %s out of a name', (_case, name, shown) => {
    expect(plain(name)).toBe(shown)
    expect(tableOf([{ name }]).split('\n')).toEqual(['name', shown])
  })
})

it.each([
  [null, ''],
  [1_000_000_000, 'now'],
  [1_000_000_000 - 59_000, '59 s ago'],
  [1_000_000_000 - 3 * 3_600_000 - 1, '3 h ago'],
  [1_000_000_000 + 30 * 86_400_000, 'in 30 d'],
  [1_000_000_000 + 90_000, 'in 1 min']
])('says %s relative to now', (at, words) => {
  expect(relative(at, 1_000_000_000)).toBe(words)
})
