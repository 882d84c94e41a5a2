import fc from 'fast-check'
import { expect, it } from 'vitest'
import { richTextHtml, richTextPlain } from '../../server/sync/richtext.ts'

const document = {
  type: 'doc',
  children: [
    { type: 'h2', children: [{ text: 'Head' }] },
    { type: 'p', children: [{ text: 'bold', bold: true }, { text: ' <tag>' }] },
    {
      type: 'ul',
      children: [
        { type: 'li', children: [{ text: 'one' }] },
        { type: 'li', children: [{ text: 'two' }] }
      ]
    }
  ]
}

it('reads as HTML', () => {
  expect(richTextHtml(document)).toBe('<h2>Head</h2><p><strong>bold</strong> &lt;tag&gt;</p><ul><li>one</li><li>two</li></ul>')
})

it('reads as text, a line per block', () => {
  expect(richTextPlain(document)).toBe('Head\nbold <tag>\none\ntwo')
})

it('always gives text, whatever stands in the field', () => {
  fc.assert(
    fc.property(fc.jsonValue(), value => {
      expect([typeof richTextHtml(value), typeof richTextPlain(value)]).toEqual(['string', 'string'])
    })
  )
})
