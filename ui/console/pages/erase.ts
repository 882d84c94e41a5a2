// What an erasing takes, in words: the server counts rows by table, people read things. Pure.
import { counted } from '../../components/basics.tsx'

/** '1 installation', '3 syncs', '1,204 links': the most telling first, as the server lists them. */
export function erasedWords(rows: Record<string, number>): string[] {
  return Object.entries(rows)
    .filter(([, number]) => number > 0)
    .map(([table, number]) => {
      if (table === 'audit_event') return `who did what in ${counted(number, 'audit event')}`
      const word = table.replaceAll('_', ' ')
      return counted(number, word, /[^aeiou]y$/.test(word) ? `${word.slice(0, -1)}ies` : `${word}s`)
    })
}
