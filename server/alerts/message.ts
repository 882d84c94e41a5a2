// One alert as each kind of recipient reads it: an e-mail, a line of Slack's markup, a signed webhook's body. Pure. Titles and texts
// may name what a tenant named, so each is escaped for where it goes.
import type { NewAlert } from './alert.ts'

export interface Message extends Pick<NewAlert, 'installationId' | 'title' | 'text' | 'links'> {
  /** Of the alert: the same however often it is sent. */
  id: string
  type: NewAlert['kind']
  at: number
  stack: { name: string; apiKey: string }
}

export interface Mail {
  subject: string
  text: string
  html: string
}

/** `why`: for what reason the reader gets this, and how to end it. */
export function mailOf(message: Message, why: string): Mail {
  const links = message.links.map(({ title, url }) => ({ title: oneLine(title), url }))
  const stack = `Stack: ${stackOf(message)}`
  return {
    subject: oneLine(message.title),
    text: [message.text, ...links.map(({ title, url }) => `${title}: ${url}`), stack, `-- \n${why}`].join('\n\n'),
    html: [
      '<!doctype html><html lang="en"><body style="font-family:sans-serif;line-height:1.5">',
      `<h1 style="font-size:1.2em">${html(oneLine(message.title))}</h1>`,
      ...message.text.split(/\n{2,}/).map(part => `<p>${html(part).replaceAll('\n', '<br>')}</p>`),
      ...links.map(({ title, url }) => `<p><a href="${html(url)}">${html(title)}</a></p>`),
      `<p>${html(stack)}</p>`,
      `<p style="color:#666;font-size:.9em">${html(why)}</p>`,
      '</body></html>'
    ].join('\n')
  }
}

/**
 * `text` alone, which Slack's imitations take as well: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
 * markup: https://docs.slack.dev/messaging/formatting-message-text. Slack takes 40,000 characters.
 */
export function slackOf(message: Message): { text: string } {
  const lines = [
    `*${slack(oneLine(message.title)).replaceAll('*', '∗')}*`,
    slack(message.text),
    ...message.links.map(({ title, url }) => `<${slack(url).replaceAll('|', '%7C')}|${slack(oneLine(title)).replaceAll('|', '¦')}>`),
    `Stack: ${slack(stackOf(message))}`
  ]
  return { text: lines.join('\n') }
}

/** Times as https://www.standardwebhooks.com writes them. */
export function webhookOf({ type, at, installationId, stack, title, text, links }: Message): object {
  return { type, timestamp: new Date(at).toISOString(), data: { installationId, stack, title, text, links } }
}

function stackOf({ stack }: Message): string {
  return stack.name === '' ? stack.apiKey : oneLine(stack.name)
}

/** A subject must not begin another header, nor a name another line. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, ' ').trim()
}

function html(text: string): string {
  return slack(text).replaceAll('"', '&quot;').replaceAll("'", '&#39;')
}

/** Without it, a stack called <!channel> would ring everybody. */
function slack(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
