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

it('shows files that lie in the text, links to entries, and of an entry set into it the uid', () => {
  const entry = { type: 'entry', 'entry-uid': 'blt1', locale: 'en-us', 'content-type-uid': 'article' }
  const asset = { type: 'asset', 'asset-uid': 'blt9', 'asset-link': 'https://images.example/x.png', 'asset-name': 'x.png' }
  const reference = (attrs: object, text: string) => ({ uid: 'r', type: 'reference', attrs, children: [{ text }] })
  const mixed = {
    type: 'doc',
    children: [
      { type: 'p', attrs: {}, children: [{ text: 'see ' }, reference({ ...entry, 'display-type': 'link', href: '/one' }, 'that')] },
      reference({ ...entry, 'display-type': 'block' }, ''),
      reference({ ...asset, 'display-type': 'display', 'asset-type': 'image/png' }, '')
    ]
  }
  const html = richTextHtml(mixed)
  for (const part of ['href="/one"', 'data-sys-entry-uid="blt1"', 'src="https://images.example/x.png"', '>that</a>'])
    expect(html).toContain(part)
  expect(richTextPlain(mixed)).toBe('see that')
})
