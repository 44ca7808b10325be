"""What the functions share. / 関数の共有コード。"""
