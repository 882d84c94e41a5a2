// Stops an old Node with words before anything else can stop it without them: better-sqlite3 13 under Node 20 ends in a
// segmentation fault. Plain CommonJS in old syntax, because the Node that must read this is the one that is too old.
'use strict'

var wanted = 24
var found = process.versions.node

if (Number(found.split('.')[0]) < wanted) {
  process.stderr.write(
    [
      'Quayside needs Node ' + wanted + ' or later; this is Node ' + found + ' (' + process.execPath + ').',
      '',
      'npm ci normally brings Node ' + wanted + ' along as the optional package "node", and npm run uses it.',
      'It is not there, most likely because install scripts were disabled (--ignore-scripts, or ignore-scripts=true in an .npmrc),',
      'or because that package has no build for this platform (' + process.platform + ' ' + process.arch + ').',
      '',
      'Remedy: run "npm ci" again with install scripts allowed, or install Node ' + wanted + ' yourself: https://nodejs.org/en/download',
      ''
    ].join('\n')
  )
  process.exit(1)
}
