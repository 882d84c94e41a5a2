// How commands show lists to people: columns under their names, two spaces between, numbers to the right, no lines drawn. Pure. Names
// come from stacks and people, so nothing in a cell may move the cursor, colour the terminal or break the line.
import { stripVTControlCharacters } from 'node:util'

export type Cells = Record<string, unknown>

/** One line per row under a line of names, without an end of line. `width` in columns, where it must fit: ids are never cut, the widest text is cut first. */
export function tableOf(rows: readonly Cells[], width?: number): string {
  const columns = [...new Set(rows.flatMap(row => Object.keys(row)))].map(name => {
    const values = rows.map(row => row[name])
    const texts = values.map(textOf)
    const isNumber =
      values.some(value => typeof value === 'number') && values.every((value, at) => typeof value === 'number' || texts[at] === '')
    return {
      title: name,
      texts,
      isNumber,
      mayShrink: !isNumber && !texts.some(text => /^[a-z]{3}_[a-z0-9]{10,}$/.test(text)),
      width: Math.max(widthOf(name), ...texts.map(widthOf))
    }
  })
  for (let over = total(columns) - (width ?? Infinity); over > 0; over -= 1) {
    const widest = columns.filter(column => column.mayShrink && column.width > leastWidth).sort((a, b) => b.width - a.width)[0]
    if (!widest) break
    widest.width -= 1
  }
  const line = (cellOf: (column: (typeof columns)[number]) => string): string =>
    columns
      .map(column => fitted(cellOf(column), column.width, column.isNumber))
      .join(gap)
      .trimEnd()
  return [line(column => column.title), ...rows.map((_row, at) => line(column => column.texts[at] ?? ''))].join('\n')
}

/** 'in 3 d', '5 min ago', 'now'; '' for null. The exact time is for --json. */
export function relative(at: number | null, now = Date.now()): string {
  if (at === null) return ''
  const seconds = Math.round(Math.abs(at - now) / 1000)
  if (seconds < 5) return 'now'
  const [unit, size] = units.find(([, size]) => seconds >= size) ?? ['s', 1]
  const words = `${Math.floor(seconds / size)} ${unit}`
  return at > now ? `in ${words}` : `${words} ago`
}

/** What people or other systems named, fit for one line of a terminal. */
export function plain(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/\s+/g, ' ')
    .replace(/[\p{C}]/gu, '')
}

const gap = '  '
const leastWidth = 8
const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['min', 60],
  ['s', 1]
] as const

function textOf(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'string') return plain(value)
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : plain(JSON.stringify(value))
}

function total(columns: readonly { width: number }[]): number {
  return columns.reduce((sum, { width }) => sum + width, 0) + gap.length * (columns.length - 1)
}

function fitted(text: string, width: number, toTheRight: boolean): string {
  const missing = width - widthOf(text)
  if (missing >= 0) return toTheRight ? ' '.repeat(missing) + text : text + ' '.repeat(missing)
  let kept = ''
  for (const { segment } of graphemes.segment(text)) {
    if (widthOf(kept) + widthOf(segment) > width - 1) break
    kept += segment
  }
  return `${kept}…${' '.repeat(Math.max(0, width - 1 - widthOf(kept)))}`
}

const graphemes = new Intl.Segmenter()
/** East Asian wide and fullwidth forms, and emoji: two columns. */
const wide = /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}]/u

function widthOf(text: string): number {
  let columns = 0
  for (const { segment } of graphemes.segment(text)) columns += wide.test(segment) ? 2 : 1
  return columns
}
