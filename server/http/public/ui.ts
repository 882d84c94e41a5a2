// Serves the built pages of ui/: the frames of the extension, which only Contentstack's own hosts may frame, and the console,
// which nobody may. Every other answer of the server carries the console's policy.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import express, { type RequestHandler, type Response, Router } from 'express'
import helmet from 'helmet'
import { sendPage } from './page.ts'

const built = fileURLToPath(new URL('../../../dist/ui/', import.meta.url))

/** The paths of manifest/: each opens extension.html, which shows the location that belongs to its path. */
const locationPaths = ['/app-configuration', '/entry-sidebar', '/stack-dashboard', '/full-page']

/** `frameAncestors`: origins of the region's application hosts; [] = nobody. */
export function securityHeaders(frameAncestors: string[], https: boolean): RequestHandler {
  return helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        fontSrc: ["'self'"],
        connectSrc: ["'self'"],
        formAction: ["'self'"],
        baseUri: ["'none'"],
        frameAncestors: frameAncestors.length > 0 ? frameAncestors : ["'none'"]
      }
    },
    frameguard: frameAncestors.length > 0 ? false : { action: 'deny' },
    referrerPolicy: { policy: 'no-referrer' },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    // The grant opens as a window of the frame, and the frame watches for its end: no cut between the two is wanted there.
    crossOriginOpenerPolicy: false,
    hsts: https
  })
}

export function uiRoutes(options: { applicationOrigins: string[]; https: boolean }): Router {
  const router = Router()
  router.use('/ui', express.static(built, { index: false, immutable: true, maxAge: '1y', fallthrough: true, setHeaders: noCacheForPages }))
  router.get(locationPaths, securityHeaders(options.applicationOrigins, options.https), (_request, response) => {
    // The policy of everything else came first and knows no exception; frame-ancestors says it better.
    response.removeHeader('x-frame-options')
    sendBuilt(response, 'extension.html')
  })
  router.get(['/', '/console', '/console/*path'], (request, response) => {
    if (request.path === '/') return response.redirect(302, '/console/')
    sendBuilt(response, 'console.html')
  })
  return router
}

function noCacheForPages(response: Response['req']['res'] & object, path: string): void {
  if (path.endsWith('.html')) response.setHeader('cache-control', 'no-cache')
}

function sendBuilt(response: Response, name: string): void {
  const file = join(built, name)
  if (existsSync(file)) {
    response.setHeader('cache-control', 'no-cache')
    response.sendFile(file)
    return
  }
  sendPage(response, 503, { title: 'The pages are not built yet', paragraphs: ['Run npm run build, then reload this page.'] })
}
