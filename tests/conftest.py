"The closing line."


def pytest_unconfigure(config):
    reporter = config.pluginmanager.get_plugin('terminalreporter')
    count = lambda *outcomes: sum(len(reporter.stats.get(o, [])) for o in outcomes)
    if reporter and not config.option.collectonly: print(f"{count('passed')} passed, {count('failed', 'error')} failed")
