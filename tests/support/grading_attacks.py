"""Answers that want the point without the work, and some that only want to do harm.

Each is the code of the answer cell of exercise 1.1 of the made-up exercises. STORED stands for what
the check prints under the default seed, which everybody can read; PRISTINE for the folder of the
pristine exercises, CLASS for that of the submissions, GRADER for the number of the grader's
process, PORT for a port on which nobody listens and SERVER for one on which the tests do.
"""

WRONG = "double = lambda x: 0.0\n"
SAY_STORED = "exercises.check = lambda *answers: print('STORED')\n"

ATTACKS = {
    "replay the stored output": WRONG + SAY_STORED + "os.environ['CBAM_COURSE_SEED'] = '0'",
    "an object equal to everything": """
class Anything(float):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
double = lambda x: Anything(0)
""",
    "cells that are rewritten before they run": WRONG
    + "get_ipython().input_transformers_cleanup.append(lambda lines: ['print(\"STORED\")\\n'])",
    "the grader and what runs the cells, patched": WRONG
    + """
import json
from cbam_course.grading import inside, outcome
outcome.Outcome.points = 1
inside.run = lambda cells: (['STORED'] * 9, None)
json.dump = lambda told, file: file.write(json.dumps([['STORED'] * 9, None]))
""",
    "files that Python reads": WRONG
    + """
import sys
from pathlib import Path
evil = 'from cbam_course.grading import inside\\ninside.run = lambda cells: ([1], None)\\n'
folders = {Path(p) for p in sys.path} | {Path.cwd(), Path.home(), Path('/'), Path(sys.prefix)}
for folder in folders:
    for name in ('sitecustomize.py', 'json.py', 'IPython.py', 'evil.pth'):
        try:
            (folder / name).write_text(evil)
        except OSError:
            pass
""",
    "the solution, or a classmate's, read from the disk": """
import json
from pathlib import Path
for path in [*Path('PRISTINE').rglob('*'), *Path('CLASS').rglob('*'), *Path('/').glob('*/*.ipynb')]:
    cells = json.loads(path.read_text())['cells']
    for solution in [c['source'] for c in cells if c.get('id') == 'solution-1-1']:
        exec(solution.split('```python')[1].split('```')[0])
""",
    "outputs in the parent's memory": WRONG
    + """
import re
found = []
for process in os.listdir('/proc'):
    try:
        maps, memory = (open(f'/proc/{process}/{name}', 'rb') for name in ('maps', 'mem'))
        for line in maps.read().decode().splitlines():
            start, end = (int(n, 16) for n in line.split()[0].split('-'))
            if ' rw' in line and end - start < 10**8 and int(process) != os.getpid():
                memory.seek(start)
                found += re.findall(rb'1\\.1 -?\\d+\\.\\d{6}', memory.read(end - start))
    except (OSError, ValueError):
        pass
exercises.check = lambda *answers: print(found[-1].decode() if found else 'nothing')
""",
    **{
        name: WRONG
        + f"""
for process in filter(str.isdigit, os.listdir('/proc')):
    for number in range(30):
        try:
            with open(f'/proc/{{process}}/fd/{{number}}', 'w') as file:
                file.write('begun\\n' + {told})
        except OSError:
            pass
os.kill(os.getppid(), 9)
os._exit(0)
"""
        for name, told in {
            "forged results": "'[[' + ','.join(['\"STORED\\\\n\"'] * 9) + '], null]'",
            "results without end": "'[' * 10**4",
        }.items()
    },
    "an error that is none": WRONG
    + """
class Odd(Exception):
    __str__ = lambda self: 5
    _render_traceback_ = lambda self: 7
def forge(*answers):
    raise Odd
exercises.check = forge
""",
    "a page that runs scripts": """
def double(x):
    page = '</pre><script>alert(1)</script><img src=x onerror=alert(1)>'
    raise ValueError(page + ' \\x1b[2J\\x1b]0;t\\a')
""",
    "os._exit in the check": "def double(x):\n    os._exit(0)",
    # The three that got through an earlier sandbox.
    "a limit for the grader": WRONG
    + """
import resource
for process in {GRADER, *map(int, filter(str.isdigit, os.listdir('/proc')))}:
    try:
        resource.prlimit(process, resource.RLIMIT_CPU, (1, 1))
    except OSError:
        pass
""",
    "an end for everybody": "import signal\nos.kill(-1, signal.SIGKILL)",
    "a listener, and a call": WRONG
    + """
import socket, threading
server = socket.create_server(('0.0.0.0', PORT))
threading.Thread(target=server.accept, daemon=True).start()
for host in ('127.0.0.1', '0.0.0.0'):
    try:
        socket.create_connection((host, SERVER), timeout=2).send(b'stolen')
    except OSError:
        pass
""",
    "a file that steers the machine": """
for name in ('sysrq-trigger', 'sys/kernel/core_pattern', 'sys/kernel/hostname'):
    try:
        os.close(os.open(f'/proc/{name}', os.O_WRONLY))
        double = lambda x: 2 * x
    except OSError:
        pass
""",
    "children that stay": WRONG
    + """
import subprocess
subprocess.Popen(['sleep', '98765'], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    os.execvp('sleep', ['sleep', '98765'])
""",
    "all of the disk": "open('large', 'wb').write(bytes(3 * 10**8))\n" + WRONG,
    "all of the memory disk": """
for number in range(40):
    open(f'/dev/shm/{number}', 'wb').write(bytes(10**7))
"""
    + WRONG,
    "all memory": "rest = bytearray(10**10)\n" + WRONG,
}

# Ended by the grader's look at all processes together, or at its clock.
EXCESSES = {
    "it started more than 50 processes": """
import subprocess, time
children = [subprocess.Popen(['sleep', '98765'], start_new_session=True) for _ in range(80)]
time.sleep(98765)
""",
    "it used more than 0.5 GB of memory": """
import time
for _ in range(6):
    if os.fork() == 0:
        rest = b'x' * 150_000_000
        time.sleep(98765)
time.sleep(98765)
""",
}
ENDLESS = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    pass
"""
