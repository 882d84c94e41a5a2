// The few plain pages that a person meets between Contentstack and us: installed, granted, refused. No script, no inline
// style, so that the strictest content security policy holds; every value is escaped here and nowhere else.
import type { Response } from 'express'

export interface Page {
  title: string
  paragraphs: string[]
  links?: { href: string; text: string }[]
  /** Seconds until the page asks again by itself. */
  refreshSeconds?: number
}

export function sendPage(response: Response, status: number, page: Page): void {
  const { title, paragraphs, links = [], refreshSeconds } = page
  response
    .status(status)
    .type('html')
    .send(
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">${
        refreshSeconds === undefined ? '' : `<meta http-equiv="refresh" content="${refreshSeconds}">`
      }<title>${escape(title)} - Quayside</title><link rel="stylesheet" href="/page.css"></head><body><main><h1>${escape(title)}</h1>${paragraphs
        .map(text => `<p>${escape(text)}</p>`)
        .join('')}${links.map(({ href, text }) => `<p><a href="${escape(href)}">${escape(text)}</a></p>`).join('')}</main></body></html>`
    )
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}

export const pageStyle = `
:root { color-scheme: light dark; font: 14px/20px Inter, system-ui, sans-serif; color: #212121; background: #f7f9fc }
main { max-width: 32rem; margin: 12vh auto; padding: 24px; background: #fff; border: 1px solid #dde3ee; border-radius: 4px }
h1 { font-size: 20px; line-height: 28px; margin: 0 0 8px } p { margin: 8px 0 } a { color: #6c5ce7 }
@media (prefers-color-scheme: dark) { :root { color: #e8eaf0; background: #14161c } main { background: #1c1f28; border-color: #333949 } a { color: #a99ff5 } }
`
