"""How often does each way to look for drift alarm where there is none, and how often where there is?"""
