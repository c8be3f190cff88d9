// Starts `npi lsp` and lets the editor talk to it; everything else is in the server.
const { workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

function activate() {
  const settings = workspace.getConfiguration("npi");
  const server = { command: settings.get("server.command"), args: settings.get("server.arguments") };
  client = new LanguageClient("npi", "NPI programs", server, { documentSelector: [{ language: "npi" }] });
  return client.start();
}

function deactivate() {
  return client ? client.stop() : undefined;
}

module.exports = { activate, deactivate };
